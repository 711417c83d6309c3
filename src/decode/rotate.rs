//! Turning a picture by quarters: phones write upright video lying down and say so beside it.

/// Turns a packed RGB picture of `width` pixels a row clockwise by `quarters` of a full turn.
pub(super) fn clockwise(rgb: Vec<u8>, width: u32, quarters: u8) -> Vec<u8> {
    let width = width as usize;
    let height = rgb.len() / 3 / width.max(1);
    let pixel = |x: usize, y: usize| {
        let at = (y * width + x) * 3;
        [rgb[at], rgb[at + 1], rgb[at + 2]]
    };
    match quarters % 4 {
        1 => (0..width).flat_map(|x| (0..height).rev().flat_map(move |y| pixel(x, y))).collect(),
        2 => rgb.rchunks_exact(3).flatten().copied().collect(),
        3 => (0..width).rev().flat_map(|x| (0..height).flat_map(move |y| pixel(x, y))).collect(),
        _ => rgb,
    }
}

/// Quarters of a turn, clockwise, from an angle in degrees; the nearest.
pub(super) fn quarters(clockwise_degrees: f64) -> u8 {
    if !clockwise_degrees.is_finite() {
        return 0;
    }
    (clockwise_degrees / 90.0).round().rem_euclid(4.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(values: &[u8]) -> Vec<u8> {
        values.iter().flat_map(|value| [*value; 3]).collect()
    }

    #[test]
    fn a_picture_of_three_by_two_turns() {
        let upright = picture(&[1, 2, 3, 4, 5, 6]);
        assert_eq!(clockwise(upright.clone(), 3, 0), upright);
        assert_eq!(clockwise(upright.clone(), 3, 1), picture(&[4, 1, 5, 2, 6, 3]));
        assert_eq!(clockwise(upright.clone(), 3, 2), picture(&[6, 5, 4, 3, 2, 1]));
        assert_eq!(clockwise(upright, 3, 3), picture(&[3, 6, 2, 5, 1, 4]));
    }

    #[test]
    fn angles_become_quarters() {
        let angles = [0.0, 90.0, -90.0, 180.0, -180.0, 270.0, 359.0, f64::NAN];
        assert_eq!(angles.map(quarters), [0, 1, 3, 2, 2, 3, 0, 0]);
    }
}
