//! As much of Cap'n Proto as a registration takes: frames of one segment, structs, and byte lists
//! (<https://capnproto.org/encoding.html>).

/// A message that was read.
#[derive(Debug)]
pub(super) struct Message {
    segments: Vec<Vec<u64>>,
}

/// A struct in a message: where its data and its pointers lie, in words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Struct<'a> {
    message: &'a Message,
    segment: usize,
    at: usize,
    data: usize,
    pointers: usize,
}

/// Takes the first whole frame out of `bytes`.
pub(super) fn take(bytes: &mut Vec<u8>) -> Option<Message> {
    let u32_at = |at: usize| {
        let four = bytes.get(at..at + 4)?;
        Some(u32::from_le_bytes(four.try_into().ok()?) as usize)
    };
    let count = u32_at(0)? + 1;
    let sizes: Option<Vec<usize>> = (0..count).map(|n| u32_at(4 + 4 * n)).collect();
    let sizes = sizes?;
    let head = (4 + 4 * count).next_multiple_of(8);
    let end = head + sizes.iter().sum::<usize>() * 8;
    if bytes.len() < end {
        return None;
    }
    let mut words = bytes[head..end]
        .chunks_exact(8)
        .map(|eight| u64::from_le_bytes(eight.try_into().unwrap()));
    let segments = sizes.iter().map(|size| words.by_ref().take(*size).collect()).collect();
    bytes.drain(..end);
    Some(Message { segments })
}

impl Message {
    pub(super) fn root(&self) -> Option<Struct<'_>> {
        self.follow(0, 0)
    }

    fn word(&self, segment: usize, at: usize) -> Option<u64> {
        self.segments.get(segment)?.get(at).copied()
    }

    /// The struct that the pointer at a word means.
    fn follow(&self, segment: usize, at: usize) -> Option<Struct<'_>> {
        let pointer = self.word(segment, at)?;
        match pointer & 3 {
            0 if pointer != 0 => Some(Struct {
                message: self,
                segment,
                at: target(at, pointer)?,
                data: (pointer >> 32 & 0xffff) as usize,
                pointers: (pointer >> 48) as usize,
            }),
            // A far pointer of one hop.
            2 if pointer & 4 == 0 => self.follow((pointer >> 32) as usize, (pointer as u32 >> 3) as usize),
            _ => None,
        }
    }
}

/// Where a struct or list pointer at word `at` leads.
fn target(at: usize, pointer: u64) -> Option<usize> {
    let offset = (pointer as u32).cast_signed() >> 2;
    usize::try_from(i64::try_from(at).ok()? + 1 + i64::from(offset)).ok()
}

impl<'a> Struct<'a> {
    /// The number of `bits` (8, 16, 32 or 64) at a bit offset; 0 where the sender's version does not have it.
    pub(super) fn number(&self, bit: usize, bits: u32) -> u64 {
        if bit / 64 >= self.data {
            return 0;
        }
        let word = self.message.word(self.segment, self.at + bit / 64).unwrap_or(0);
        (word >> (bit % 64)) & (u64::MAX >> (64 - bits))
    }

    pub(super) fn child(&self, n: usize) -> Option<Struct<'a>> {
        (n < self.pointers).then(|| self.message.follow(self.segment, self.at + self.data + n))?
    }

    /// A list of structs; none where there is none.
    pub(super) fn list(&self, n: usize) -> Vec<Struct<'a>> {
        const COMPOSITE: u64 = 7;
        let find = || {
            let at = (n < self.pointers).then_some(self.at + self.data + n)?;
            let pointer = self.message.word(self.segment, at)?;
            let tag_at = (pointer & 3 == 1 && pointer >> 32 & 7 == COMPOSITE).then(|| target(at, pointer))??;
            let tag = self.message.word(self.segment, tag_at)?;
            let (data, pointers) = ((tag >> 32 & 0xffff) as usize, (tag >> 48) as usize);
            let one = |n| Struct {
                message: self.message,
                segment: self.segment,
                at: tag_at + 1 + n * (data + pointers),
                data,
                pointers,
            };
            Some((0..(tag as u32 >> 2) as usize).map(one).collect())
        };
        find().unwrap_or_default()
    }

    /// A list of bytes: data, or text with its NUL.
    pub(super) fn bytes(&self, n: usize) -> Option<Vec<u8>> {
        let at = (n < self.pointers).then_some(self.at + self.data + n)?;
        let pointer = self.message.word(self.segment, at)?;
        if pointer & 3 != 1 || pointer >> 32 & 7 != 2 {
            return None;
        }
        let (from, count) = (target(at, pointer)?, (pointer >> 35) as usize);
        let words = self
            .message
            .segments
            .get(self.segment)?
            .get(from..from + count.div_ceil(8))?;
        let all: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        Some(all[..count].to_vec())
    }
}

/// A struct pointer: `offset` words lie between it and the struct.
pub(super) fn to_struct(offset: u32, data: u16, pointers: u16) -> u64 {
    u64::from(offset) << 2 | u64::from(data) << 32 | u64::from(pointers) << 48
}

/// A pointer to a list of `count` bytes.
pub(super) fn to_bytes(offset: u32, count: usize) -> u64 {
    1 | u64::from(offset) << 2 | 2 << 32 | (count as u64) << 35
}

/// A pointer to a list of structs, `words` long without its tag.
pub(super) fn to_list(offset: u32, words: usize) -> u64 {
    1 | u64::from(offset) << 2 | 7 << 32 | (words as u64) << 35
}

/// Bytes as words, filled up with zeros.
pub(super) fn words(bytes: &[u8]) -> Vec<u64> {
    let chunk = |eight: &[u8]| {
        let mut all = [0; 8];
        all[..eight.len()].copy_from_slice(eight);
        u64::from_le_bytes(all)
    };
    bytes.chunks(8).map(chunk).collect()
}

/// One segment as it goes over the wire.
pub(super) fn frame(segment: &[u64]) -> Vec<u8> {
    let mut out = vec![0; 4];
    out.extend((segment.len() as u32).to_le_bytes());
    out.extend(segment.iter().flat_map(|word| word.to_le_bytes()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_framed_is_taken_whole_and_read() {
        // A struct of one word and one pointer, the pointer to five bytes.
        let mut segment = vec![to_struct(0, 1, 1), 0x0102_0000_002a, to_bytes(0, 5)];
        segment.extend(words(b"edge\0"));
        let frame = frame(&segment);
        let mut stream = frame[..20].to_vec();
        assert!(take(&mut stream).is_none(), "not whole yet");
        stream.extend(&frame[20..]);
        stream.extend(&frame);
        for _ in 0..2 {
            let message = take(&mut stream).unwrap();
            let root = message.root().unwrap();
            assert_eq!(
                (root.number(0, 32), root.number(32, 16), root.number(64, 64)),
                (42, 0x102, 0)
            );
            assert_eq!(root.bytes(0).unwrap(), b"edge\0");
            assert!(root.child(0).is_none() && root.bytes(1).is_none());
        }
        assert!(stream.is_empty());
    }

    #[test]
    fn pointers_that_lead_nowhere_are_none() {
        for segment in [vec![], vec![0], vec![to_struct(9, 1, 1)], vec![!0], vec![2 | 7 << 32]] {
            let mut bytes = frame(&segment);
            let message = take(&mut bytes).unwrap();
            if let Some(root) = message.root() {
                assert_eq!(root.number(0, 64), 0);
                assert!(root.child(0).is_none() && root.bytes(0).is_none());
            }
        }
    }
}
