//! One field of all rows of a batch, in the smallest of three forms; of few rows see `packed`.

/// Longest text of a field in bytes; longer ones are cut by the builder and refused by `decode`.
pub(crate) const MAX_FIELD_BYTES: usize = 2048;

/// Most rows of one batch. With [`MAX_FIELD_BYTES`] it keeps every offset below 2^32.
pub(crate) const MAX_ROWS: usize = 2_000_000;

/// Most different texts of a coded column: their numbers fit in a byte.
pub(crate) const MAX_WORDS: usize = 256;

/// Whether two texts are equal. Most fields are empty, and comparing two empty ones bytewise costs
/// more than all others of a row: glibc's `memcmp` for AVX-512 stalls on their dangling pointers.
#[inline]
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && (one.is_empty() || one == other)
}

/// Texts one after the other in one arena.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    text: String,
    ends: Vec<u32>,
}

impl Words {
    pub(crate) fn with_parts(text: String, ends: Vec<u32>) -> Self {
        Self { text, ends }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, number: usize) -> &str {
        let start = if number == 0 {
            0
        } else {
            self.ends[number - 1]
        };
        &self.text[start as usize..self.ends[number] as usize]
    }

    pub(crate) fn push(&mut self, word: &str) {
        self.text.push_str(word);
        let end = u32::try_from(self.text.len()).expect("MAX_ROWS * MAX_FIELD_BYTES < 2^32");
        self.ends.push(end);
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// Few different texts: a byte a row.
#[derive(Debug)]
pub(crate) struct Coded {
    pub(crate) codes: Vec<u8>,
    pub(crate) words: Words,
}

#[derive(Debug)]
pub(crate) enum Column {
    /// The same text in every row; the empty one costs nothing.
    Same(Box<str>),
    Coded(Box<Coded>),
    Each(Box<Words>),
}

impl Column {
    pub(crate) fn get(&self, row: usize) -> &str {
        match self {
            Self::Same(text) => text,
            Self::Coded(coded) => coded.words.get(usize::from(coded.codes[row])),
            Self::Each(words) => words.get(row),
        }
    }
}
