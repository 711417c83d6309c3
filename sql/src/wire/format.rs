//! Whether the body of a client's message is what its type says, to the last byte.
//!
//! pgwire reads what it needs and leaves what comes behind it.

/// Reads `body`, the message of the type `kind` without its length.
///
/// # Errors
/// PostgreSQL's words for what is wrong.
pub(super) fn check(kind: u8, body: &[u8]) -> Result<(), &'static str> {
    let mut body = Body(body);
    match kind {
        b'Q' | b'f' => body.string()?,
        b'P' => {
            body.string()?;
            body.string()?;
            let types = body.count()?;
            body.skip(4 * types)?;
        }
        b'B' => {
            body.string()?;
            body.string()?;
            let formats = body.count()?;
            body.skip(2 * formats)?;
            for _ in 0..body.count()? {
                // A negative length is NULL.
                let length = usize::try_from(i32::from_be_bytes(body.take()?)).unwrap_or(0);
                body.skip(length)?;
            }
            let formats = body.count()?;
            body.skip(2 * formats)?;
        }
        b'D' | b'C' => {
            body.skip(1)?;
            body.string()?;
        }
        b'E' => {
            body.string()?;
            body.skip(4)?;
        }
        b'S' | b'H' => {}
        _ => return Ok(()),
    }
    if body.0.is_empty() { Ok(()) } else { Err("invalid message format") }
}

struct Body<'a>(&'a [u8]);

impl Body<'_> {
    fn string(&mut self) -> Result<(), &'static str> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or("invalid string in message")?;
        self.skip(end + 1)
    }

    fn count(&mut self) -> Result<usize, &'static str> {
        Ok(usize::from(u16::from_be_bytes(self.take()?)))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), &'static str> {
        self.0 = self.0.get(bytes..).ok_or(CUT_OFF)?;
        Ok(())
    }
}

const CUT_OFF: &str = "insufficient data left in message";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_end_where_they_have_to() {
        const REST: &str = "invalid message format";
        const STRING: &str = "invalid string in message";
        let good: [(u8, &[u8]); 8] = [
            (b'Q', b"SELECT 1\0"),
            (b'P', b"\0SELECT 1\0\0\x01\0\0\0\x17"),
            (b'B', b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\x01\0\0"),
            (b'D', b"Sname\0"),
            (b'C', b"P\0"),
            (b'E', b"\0\0\0\0\x05"),
            (b'S', b""),
            (b'H', b""),
        ];
        for (kind, body) in good {
            assert_eq!(check(kind, body), Ok(()), "{}", char::from(kind));
            assert_eq!(check(kind, &[body, b"x"].concat()), Err(REST), "{}", char::from(kind));
            for end in 0..body.len() {
                assert!(check(kind, &body[..end]).is_err(), "{} {end}", char::from(kind));
            }
        }
        assert_eq!(check(b'Q', b"SELECT 1"), Err(STRING));
        assert_eq!(check(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0"), Err(CUT_OFF));
    }
}
