//! Optimal assignment of rows to columns with a gate: pairs with their costs go in, the matching
//! of least total cost comes out, where a row that stays alone costs the gate's limit.
//!
//! Pairs that are not given are never matched. The pairs fall into connected components, which
//! are solved one by one by shortest augmenting paths (Jonker and Volgenant, "A shortest augmenting
//! path algorithm for dense and sparse linear assignment problems", Computing 38, 1987). Nothing
//! is allocated once the buffers have grown. Ties go to the lower row, then to the lower column.

/// A row and a column that may be matched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    /// The row.
    pub row: u32,
    /// The column.
    pub column: u32,
    /// What matching them costs; finite.
    pub cost: f64,
}

const NONE: u32 = u32::MAX;

/// The solver and its buffers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Assigner {
    /// The column of each row.
    matched: Vec<u32>,
    parents: Vec<u32>,
    /// Place of a row or column in its component.
    places: Vec<u32>,
    rows: Vec<u32>,
    columns: Vec<u32>,
    component: Component,
}

/// One connected component as a dense problem.
#[derive(Clone, Debug, Default)]
struct Component {
    costs: Vec<f64>,
    row_potentials: Vec<f64>,
    column_potentials: Vec<f64>,
    row_of: Vec<u32>,
    distances: Vec<f64>,
    previous: Vec<u32>,
    done: Vec<bool>,
}

impl Assigner {
    /// The column of each of `rows` rows, of `columns` columns, as [`Self::column`] tells. Pairs
    /// at or above `limit` are left out; `pairs` is reordered.
    pub fn solve(&mut self, rows: usize, columns: usize, pairs: &mut Vec<Pair>, limit: f64) {
        pairs.retain(|pair| pair.cost < limit);
        self.matched.clear();
        self.matched.resize(rows, NONE);
        self.parents.clear();
        self.parents.extend(0..as_u32(rows + columns));
        for pair in pairs.iter() {
            let (row, column) = (pair.row, as_u32(rows) + pair.column);
            let (one, other) = (find(&mut self.parents, row), find(&mut self.parents, column));
            // The lowest row names the component, so that components come in the order of rows.
            self.parents[one.max(other) as usize] = one.min(other);
        }
        let parents = &mut self.parents;
        pairs.sort_unstable_by_key(|pair| (find(parents, pair.row), pair.row, pair.column));
        self.places.clear();
        self.places.resize(rows + columns, NONE);
        let mut rest = pairs.as_slice();
        while let Some(first) = rest.first() {
            let root = find(&mut self.parents, first.row);
            let end = rest
                .iter()
                .position(|pair| find(&mut self.parents, pair.row) != root)
                .unwrap_or(rest.len());
            let (of_component, behind) = rest.split_at(end);
            rest = behind;
            if let [only] = of_component {
                self.matched[only.row as usize] = only.column;
            } else {
                self.solve_component(rows, of_component, limit);
            }
        }
    }

    /// The column matched to a row.
    pub fn column(&self, row: usize) -> Option<usize> {
        self.matched.get(row).copied().filter(|column| *column != NONE).map(|found| found as usize)
    }

    fn solve_component(&mut self, all_rows: usize, pairs: &[Pair], limit: f64) {
        self.rows.clear();
        self.columns.clear();
        for pair in pairs {
            if self.places[pair.row as usize] == NONE {
                self.places[pair.row as usize] = as_u32(self.rows.len());
                self.rows.push(pair.row);
            }
            let place = &mut self.places[all_rows + pair.column as usize];
            if *place == NONE {
                *place = 0;
                self.columns.push(pair.column);
            }
        }
        self.columns.sort_unstable();
        for (place, column) in self.columns.iter().enumerate() {
            self.places[all_rows + *column as usize] = as_u32(place);
        }
        let width = self.columns.len();
        let component = &mut self.component;
        component.reset(self.rows.len(), width);
        for pair in pairs {
            let row = self.places[pair.row as usize] as usize;
            let column = self.places[all_rows + pair.column as usize] as usize;
            component.costs[row * width + column] = pair.cost;
        }
        for row in 0..self.rows.len() {
            component.augment(row, width, limit);
        }
        for (column, row) in component.row_of.iter().enumerate() {
            if *row != NONE {
                self.matched[self.rows[*row as usize] as usize] = self.columns[column];
            }
        }
    }
}

impl Component {
    fn reset(&mut self, rows: usize, columns: usize) {
        fill(&mut self.costs, rows * columns, f64::INFINITY);
        fill(&mut self.row_potentials, rows, 0.0);
        fill(&mut self.column_potentials, columns, 0.0);
        fill(&mut self.row_of, columns, NONE);
    }

    /// Adds a row by the cheapest path that ends at a free column, or at a row that then stays
    /// alone for `limit`.
    fn augment(&mut self, start: usize, columns: usize, limit: f64) {
        fill(&mut self.distances, columns, f64::INFINITY);
        fill(&mut self.previous, columns, NONE);
        fill(&mut self.done, columns, false);
        let mut row = start;
        let mut to_row = 0.0;
        // The cheapest way to leave a row of the path alone: that row and the path's length.
        let mut alone = (f64::INFINITY, start);
        let (length, mut end) = loop {
            let here = to_row + limit - self.row_potentials[row];
            if here < alone.0 {
                alone = (here, row);
            }
            let mut nearest = (f64::INFINITY, NONE as usize);
            for column in 0..columns {
                if self.done[column] {
                    continue;
                }
                let step = self.costs[row * columns + column]
                    - self.row_potentials[row]
                    - self.column_potentials[column];
                if to_row + step < self.distances[column] {
                    self.distances[column] = to_row + step;
                    self.previous[column] = as_u32(row);
                }
                if self.distances[column] < nearest.0 {
                    nearest = (self.distances[column], column);
                }
            }
            if alone.0 <= nearest.0 {
                break (alone.0, None);
            }
            to_row = nearest.0;
            self.done[nearest.1] = true;
            match self.row_of[nearest.1] {
                NONE => break (nearest.0, Some(nearest.1)),
                owner => row = owner as usize,
            }
        };
        self.row_potentials[start] += length;
        for column in 0..columns {
            if self.done[column] && self.distances[column] < length {
                let slack = length - self.distances[column];
                self.column_potentials[column] -= slack;
                if self.row_of[column] != NONE {
                    self.row_potentials[self.row_of[column] as usize] += slack;
                }
            }
        }
        if end.is_none() {
            if alone.1 == start {
                return;
            }
            // That row gives its column up.
            end = self.row_of.iter().position(|row| *row == as_u32(alone.1));
        }
        while let Some(column) = end {
            let row = self.previous[column];
            end = self.row_of.iter().position(|owner| *owner == row);
            self.row_of[column] = row;
            if row as usize == start {
                return;
            }
        }
    }
}

fn fill<T: Clone>(buffer: &mut Vec<T>, length: usize, value: T) {
    buffer.clear();
    buffer.resize(length, value);
}

fn find(parents: &mut [u32], mut node: u32) -> u32 {
    while parents[node as usize] != node {
        let grand = parents[parents[node as usize] as usize];
        parents[node as usize] = grand;
        node = grand;
    }
    node
}

/// Numbers of tracks and detections are far below 2³².
#[expect(clippy::cast_possible_truncation, reason = "see above")]
fn as_u32(number: usize) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(costs: &[Vec<f64>], limit: f64) -> f64 {
        fn from(costs: &[Vec<f64>], row: usize, taken: u32, limit: f64) -> f64 {
            if row == costs.len() {
                return 0.0;
            }
            let mut best = limit + from(costs, row + 1, taken, limit);
            for (column, cost) in costs[row].iter().enumerate() {
                if *cost < limit && taken & (1 << column) == 0 {
                    let rest = from(costs, row + 1, taken | 1 << column, limit);
                    best = best.min(*cost + rest);
                }
            }
            best
        }
        from(costs, 0, 0, limit)
    }

    #[test]
    fn the_total_is_the_least_of_all_matchings() {
        let mut seed = 1_u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
            u16::try_from(seed >> 52).unwrap()
        };
        let mut assigner = Assigner::default();
        for round in 0..2000 {
            let (rows, columns) = (usize::from(next() % 7), usize::from(next() % 7));
            let costs: Vec<Vec<f64>> = (0..rows)
                .map(|_| (0..columns).map(|_| f64::from(next() % 64) / 32.0).collect())
                .collect();
            let limit = f64::from(next() % 48) / 32.0;
            let mut pairs = Vec::new();
            for (row, of_row) in (0_u32..).zip(&costs) {
                for (column, cost) in (0_u32..).zip(of_row) {
                    pairs.push(Pair { row, column, cost: *cost });
                }
            }
            assigner.solve(rows, columns, &mut pairs, limit);
            let mut taken = std::collections::BTreeSet::new();
            let total: f64 = (0..rows)
                .map(|row| match assigner.column(row) {
                    Some(column) => {
                        assert!(taken.insert(column), "round {round}: a column twice");
                        assert!(costs[row][column] < limit);
                        costs[row][column]
                    }
                    None => limit,
                })
                .sum();
            assert!((total - best(&costs, limit)).abs() < 1e-9, "round {round}: {costs:?}");
        }
    }

    #[test]
    fn equal_costs_go_to_the_lower_row_and_column() {
        let mut assigner = Assigner::default();
        let mut pairs: Vec<Pair> = (0..2)
            .flat_map(|row| (0..2).map(move |column| Pair { row, column, cost: 0.5 }))
            .collect();
        assigner.solve(2, 2, &mut pairs, 1.0);
        assert_eq!((assigner.column(0), assigner.column(1)), (Some(0), Some(1)));
    }
}
