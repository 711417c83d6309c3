//! CSV as PostgreSQL's `COPY … CSV HEADER` writes it: NULL is nothing, an empty text is `""`.

use std::io::{self, Write};

use super::TextRows;

pub(super) fn write_rows(to: &mut dyn Write, rows: &TextRows) -> io::Result<()> {
    let header: Vec<String> = rows.columns.iter().map(|name| quoted(name)).collect();
    writeln!(to, "{}", header.join(","))?;
    for row in &rows.rows {
        let cells: Vec<String> =
            row.iter().map(|cell| cell.as_deref().map_or_else(String::new, quoted)).collect();
        writeln!(to, "{}", cells.join(","))?;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    if text.is_empty() || text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_they_must_be() {
        let row = ["plain", "a,b", "say \"hi\"", "two\nlines", ""].map(|text| Some(text.into()));
        let rows = TextRows {
            columns: vec!["c".into(); 6],
            numeric: vec![false; 6],
            rows: vec![row.into_iter().chain([None]).collect()],
        };
        let mut bytes = vec![];
        write_rows(&mut bytes, &rows).unwrap();
        let expected = "c,c,c,c,c,c\nplain,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\"\",\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
