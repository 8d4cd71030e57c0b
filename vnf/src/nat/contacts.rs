//! Which remote addresses an internal endpoint has sent to: what address-dependent filtering asks (RFC 4787 section 5).

use dpdk_bindings::memory::{HugeArray, Source};

use crate::table::{FlowTable, Hasher, IdPool};

/// One remote address that a mapping's host has opened sessions to.
#[derive(Debug, zerocopy::FromZeros)]
#[repr(C)]
struct Contact {
    mapping: u32,
    remote: u32,
    sessions: u32,
}

/// The contacts of one worker's mappings, in memory reserved at start.
pub struct Contacts {
    by_address: FlowTable,
    contacts: HugeArray<Contact>,
    ids: IdPool,
    hasher: Hasher,
}

impl Contacts {
    /// Room for `capacity` pairs of mapping and remote address.
    ///
    /// # Errors
    /// When the memory cannot be reserved.
    pub fn with_capacity(
        capacity: usize,
        hasher: Hasher,
        source: Source<'_>,
    ) -> dpdk_bindings::Result<Self> {
        Ok(Self {
            by_address: FlowTable::with_capacity("contact addresses", capacity, source)?,
            contacts: HugeArray::zeroed("contacts", capacity, source)?,
            ids: IdPool::new("contact ids", capacity, source)?,
            hasher,
        })
    }

    /// Whether the mapping's host has a session of its own to this address.
    pub fn contains(&self, mapping: u32, remote: u32) -> bool {
        self.find(mapping, remote).is_some()
    }

    /// Notes a session from the mapping's host to this address; `false` when there is no room.
    pub fn join(&mut self, mapping: u32, remote: u32) -> bool {
        if let Some(id) = self.find(mapping, remote) {
            self.contacts[id as usize].sessions += 1;
            return true;
        }
        let Some(id) = self.ids.take() else { return false };
        if self.by_address.insert(self.hash(mapping, remote), id).is_err() {
            self.ids.give(id);
            return false;
        }
        self.contacts[id as usize] = Contact { mapping, remote, sessions: 1 };
        true
    }

    /// Forgets a session noted before.
    pub fn leave(&mut self, mapping: u32, remote: u32) {
        let Some(id) = self.find(mapping, remote) else { return };
        let contact = &mut self.contacts[id as usize];
        contact.sessions -= 1;
        if contact.sessions == 0 {
            self.by_address.remove(self.hash(mapping, remote), id);
            self.ids.give(id);
        }
    }

    /// Pairs in use.
    pub fn len(&self) -> usize {
        self.ids.used()
    }

    /// Whether no pair is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many fit.
    pub fn capacity(&self) -> usize {
        self.contacts.len()
    }

    /// Memory reserved, in octets.
    pub fn bytes(&self) -> usize {
        self.by_address.bytes() + self.contacts.len() * size_of::<Contact>() + self.ids.bytes()
    }

    fn find(&self, mapping: u32, remote: u32) -> Option<u32> {
        self.by_address.find(self.hash(mapping, remote), |id| {
            let contact = &self.contacts[id as usize];
            contact.mapping == mapping && contact.remote == remote
        })
    }

    fn hash(&self, mapping: u32, remote: u32) -> u64 {
        self.hasher.hash2(u64::from(mapping) << 32 | u64::from(remote), 1 << 63)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_lasts_as_long_as_its_last_session() {
        let mut contacts =
            Contacts::with_capacity(2, Hasher::random(), Source::Plain).expect("plain memory");
        assert!(contacts.join(1, 10) && contacts.join(1, 10) && contacts.join(2, 10));
        assert!(!contacts.join(3, 10), "there is no room");
        contacts.leave(1, 10);
        assert!(contacts.contains(1, 10) && !contacts.contains(1, 11));
        contacts.leave(1, 10);
        assert!(!contacts.contains(1, 10) && contacts.contains(2, 10));
        assert_eq!(contacts.len(), 1);
    }
}
