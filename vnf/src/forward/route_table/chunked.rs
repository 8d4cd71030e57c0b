//! A long list in pieces that its copies share: a change copies one piece.

use std::sync::Arc;

/// A list whose length is a multiple of [`CHUNK`].
#[derive(Clone, Debug, Default)]
pub(super) struct Chunked<T> {
    chunks: Vec<Arc<[T; CHUNK]>>,
}

impl<T: Copy> Chunked<T> {
    /// A list of at least so many equal entries.
    pub(super) fn filled(len: usize, value: T) -> Self {
        let mut list = Self { chunks: Vec::new() };
        list.grow(len, value);
        list
    }

    /// Makes the list at least so long.
    pub(super) fn grow(&mut self, len: usize, value: T) {
        while self.len() < len {
            self.chunks.push(Arc::new([value; CHUNK]));
        }
    }

    /// An entry, if there is one.
    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<T> {
        self.chunks.get(at / CHUNK).map(|chunk| chunk[at % CHUNK])
    }

    /// Replaces an entry.
    pub(super) fn set(&mut self, at: usize, value: T) {
        Arc::make_mut(&mut self.chunks[at / CHUNK])[at % CHUNK] = value;
    }

    /// The `group`-th 256 entries.
    pub(super) fn group(&self, group: usize) -> &[T] {
        let at = group * GROUP;
        &self.chunks[at / CHUNK][at % CHUNK..at % CHUNK + GROUP]
    }

    /// The same, to be changed.
    pub(super) fn group_mut(&mut self, group: usize) -> &mut [T] {
        let at = group * GROUP;
        &mut Arc::make_mut(&mut self.chunks[at / CHUNK])[at % CHUNK..at % CHUNK + GROUP]
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    /// The memory it takes, in bytes, shared or not.
    pub(super) fn bytes(&self) -> usize {
        self.chunks.len() * (size_of::<[T; CHUNK]>() + size_of::<Arc<[T; CHUNK]>>())
    }
}

/// Entries of one piece: large enough that a list of millions is a short list of pieces, small enough to be copied for one
/// change.
const CHUNK: usize = 4096;
/// Entries that one step of a lookup chooses from.
const GROUP: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_what_neither_changes() {
        let mut list = Chunked::filled(3 * CHUNK - 5, 7);
        assert_eq!((list.len(), list.get(3 * CHUNK)), (3 * CHUNK, None));
        let copy = list.clone();
        list.set(CHUNK, 8);
        list.group_mut(1)[3] = 9;
        assert_eq!((list.get(CHUNK), copy.get(CHUNK)), (Some(8), Some(7)));
        assert_eq!((list.get(259), copy.group(1)[3]), (Some(9), 7));
        let shared = |at: usize| Arc::ptr_eq(&list.chunks[at], &copy.chunks[at]);
        assert_eq!([shared(0), shared(1), shared(2)], [false, false, true]);
    }
}
