//! Tables as psql draws them.

use std::io::{self, Write};

use super::TextRows;

/// Header, rule, rows, the number of rows and an empty line. A value of several lines takes
/// several lines of its cell, as in psql.
pub(in crate::cli) fn write_table(to: &mut dyn Write, rows: &TextRows) -> io::Result<()> {
    let lines = |cell: &Option<String>| {
        let text = cell.as_deref().unwrap_or_default();
        text.split('\n').map(str::to_owned).collect::<Vec<_>>()
    };
    let cells: Vec<Vec<Vec<String>>> =
        rows.rows.iter().map(|row| row.iter().map(lines).collect()).collect();
    let widths: Vec<usize> = rows
        .columns
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let of_cells = cells.iter().flat_map(|row| row.get(column)).flatten();
            of_cells.map(|line| width(line)).chain([width(name)]).max().unwrap_or(0)
        })
        .collect();
    let header: Vec<String> =
        rows.columns.iter().zip(&widths).map(|(name, most)| centred(name, *most)).collect();
    write_line(to, &header)?;
    let rules: Vec<String> = widths.iter().map(|most| "-".repeat(most + 2)).collect();
    writeln!(to, "{}", rules.join("+"))?;
    for row in &cells {
        let height = row.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            let padded = row.iter().enumerate().map(|(column, cell)| {
                let text = cell.get(line).map_or("", String::as_str);
                let most = widths.get(column).copied().unwrap_or(0);
                let space = " ".repeat(most - width(text));
                let numeric = rows.numeric.get(column).copied().unwrap_or(false);
                if numeric { format!("{space}{text}") } else { format!("{text}{space}") }
            });
            write_line(to, &padded.collect::<Vec<_>>())?;
        }
    }
    let plural = if rows.rows.len() == 1 { "" } else { "s" };
    writeln!(to, "({} row{plural})\n", rows.rows.len())
}

fn write_line(to: &mut dyn Write, cells: &[String]) -> io::Result<()> {
    writeln!(to, "{}", format!(" {}", cells.join(" | ")).trim_end())
}

/// Columns that a text takes on a terminal, near enough: a character is one.
fn width(text: &str) -> usize {
    text.chars().count()
}

fn centred(text: &str, most: usize) -> String {
    let space = most - width(text);
    format!("{}{text}{}", " ".repeat(space / 2), " ".repeat(space - space / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_looks_as_in_psql() {
        let rows = TextRows {
            columns: vec!["class_name".into(), "n".into(), "note".into()],
            numeric: vec![false, true, false],
            rows: vec![
                vec![Some("person".into()), Some("12".into()), None],
                vec![Some("größe".into()), Some("7".into()), Some("two\nlines".into())],
            ],
        };
        let mut bytes = vec![];
        write_table(&mut bytes, &rows).unwrap();
        let expected = [
            " class_name | n  | note",
            "------------+----+-------",
            " person     | 12 |",
            " größe      |  7 | two",
            "            |    | lines",
            "(2 rows)",
            "",
            "",
        ];
        assert_eq!(String::from_utf8(bytes).unwrap(), expected.join("\n"));
    }
}
