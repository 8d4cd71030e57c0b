//! `rte_acl`: classifies keys of fixed layout by rules of prefixes, ranges and bit masks, many keys at once.

use std::{
    ffi::CString,
    marker::PhantomData,
    mem::{offset_of, size_of},
    num::NonZeroU32,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use dpdk_sys as sys;
use zerocopy::{Immutable, IntoBytes};

use crate::{
    Error, Result,
    eal::Eal,
    error::{Errno, check},
};

#[cfg(test)]
mod tests;

/// How a rule's value and bound are compared with a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Match {
    /// The bits set in the bound must be those of the value.
    Bitmask,
    /// The bound is a prefix length in bits.
    Prefix,
    /// From the value to the bound, both included.
    Range,
}

/// Where a field stands in the key, in network byte order.
///
/// `rte_acl` reads a key's first field as one octet and the others in groups of four adjoining octets; fields of one
/// group have the same `group`, and groups ascend.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// How it is compared.
    pub compare: Match,
    /// Which four octets it belongs to; the first field is group 0 alone.
    pub group: u8,
    /// Octets from the start of the key.
    pub offset: usize,
    /// 1, 2 or 4 octets.
    pub size: u8,
}

/// What a rule wants of one field, in host byte order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Criterion {
    /// The value to compare with.
    pub value: u32,
    /// Prefix length, upper end, or bit mask.
    pub bound: u32,
}

/// A rule; of those that match, the one with the highest priority counts.
#[derive(Clone, Copy, Debug)]
pub struct Rule<const FIELDS: usize> {
    /// One for each field.
    pub criteria: [Criterion; FIELDS],
    /// What classification answers.
    pub id: NonZeroU32,
    /// 1 to [`MAX_PRIORITY`].
    pub priority: u32,
}

/// The highest priority of a [`Rule`].
pub const MAX_PRIORITY: u32 = sys::RTE_ACL_MAX_PRIORITY;

/// Rules compiled for keys of type `K`. Immutable, so any number of threads may ask it at once.
pub struct Classifier<K> {
    context: Context,
    bytes: usize,
    keys: PhantomData<fn(&K)>,
}

impl<K: Immutable + IntoBytes> Classifier<K> {
    /// Compiles at least one rule; fails with `EFBIG` where the result would take more than `max_bytes`.
    ///
    /// Compilation takes several times the memory of its result from the C heap: 15 KB a rule for rules as people
    /// write them, 60 KB for crossing ranges in every field. Before a large set, parts of it are compiled and their
    /// sizes multiplied, so that a set that explodes is refused while it is small.
    pub fn build<const FIELDS: usize>(
        eal: &Eal,
        fields: &[Field; FIELDS],
        rules: &[Rule<FIELDS>],
        max_bytes: usize,
    ) -> Result<Self> {
        let config = config::<K>(fields)?;
        for step in SAMPLES {
            if rules.len() / step >= SAMPLE_RULES {
                let bytes = compile(eal, rules.iter().step_by(step), &config)?.1;
                // Half of it: sets grow less than their rules do.
                limit(bytes.saturating_mul(step / 2), max_bytes)?;
            }
        }
        let (context, bytes) = compile(eal, rules.iter(), &config)?;
        limit(bytes, max_bytes)?;
        Ok(Self { context, bytes, keys: PhantomData })
    }

    /// Writes for each key the id of its rule, 0 where none matches; as many as there are keys, or as fit.
    #[inline]
    pub fn classify(&self, keys: &[&K], ids: &mut [u32]) {
        let count = keys.len().min(ids.len()) as u32;
        if count == 0 {
            return;
        }
        // SAFETY: the context is built (`build` is the only constructor) and never changed again. `&K` is a pointer to
        // `size_of::<K>()` initialised octets, and `config` has checked that no field is read beyond them. `ids`
        // has room for one category of `count` keys. The call fails only for other numbers of categories than 1.
        unsafe {
            let keys = keys.as_ptr().cast::<*const u8>().cast_mut();
            sys::rte_acl_classify(self.context.pointer.as_ptr(), keys, ids.as_mut_ptr(), count, 1);
        }
    }

    /// The memory it takes from DPDK's heap, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl<K> std::fmt::Debug for Classifier<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Classifier").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// An `rte_acl` context of our own, freed with it.
struct Context {
    pointer: NonNull<sys::rte_acl_ctx>,
    /// The context lives in DPDK's memory.
    _eal: Eal,
}

// SAFETY: a context is not bound to the thread that made it; `rte_acl_free` takes DPDK's own locks.
unsafe impl Send for Context {}
// SAFETY: all that is done through a shared context is `rte_acl_classify`, which only reads it.
unsafe impl Sync for Context {}

impl Context {
    fn create<const FIELDS: usize>(eal: &Eal, rules: usize) -> Result<Self> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);

        // A name used before would give us the context of its first user.
        let name = format!("acl-{}", SERIAL.fetch_add(1, Ordering::Relaxed));
        let name = CString::new(name).expect("no NUL in letters and digits");
        let parameters = sys::rte_acl_param {
            name: name.as_ptr(),
            socket_id: sys::SHIM_SOCKET_ANY,
            rule_size: size_of::<RawRule<FIELDS>>() as u32,
            max_rule_num: u32::try_from(rules).map_err(|_| too_big("rte_acl_create"))?,
        };
        // SAFETY: the EAL is initialised (`eal`), and the parameters live through the call, which copies them.
        let context = unsafe { sys::rte_acl_create(&raw const parameters) };
        let pointer = NonNull::new(context).ok_or_else(|| Error::last("rte_acl_create"))?;
        Ok(Self { pointer, _eal: eal.clone() })
    }

    fn add<const FIELDS: usize>(&mut self, rules: &[RawRule<FIELDS>]) -> Result<()> {
        // SAFETY: `RawRule<FIELDS>` is a C rule of the size the context was created for; the call copies them.
        let answer = unsafe {
            sys::rte_acl_add_rules(self.pointer.as_ptr(), rules.as_ptr().cast(), rules.len() as u32)
        };
        check("rte_acl_add_rules", answer).map(drop)
    }

    fn build(&mut self, config: &sys::rte_acl_config) -> Result<()> {
        // SAFETY: we have the only reference to the context, and the configuration was made by `config`.
        let answer = unsafe { sys::rte_acl_build(self.pointer.as_ptr(), config) };
        check("rte_acl_build", answer).map(drop)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context is ours and nobody uses it any more.
        unsafe { sys::rte_acl_free(self.pointer.as_ptr()) }
    }
}

/// `struct rte_acl_rule` with its fields.
#[repr(C)]
struct RawRule<const FIELDS: usize> {
    data: sys::rte_acl_rule_data,
    fields: [sys::rte_acl_field; FIELDS],
}

const _: () = assert!(
    offset_of!(RawRule<1>, fields) == offset_of!(sys::rte_acl_rule, field),
    "fields stand where C has them"
);

impl<const FIELDS: usize> RawRule<FIELDS> {
    fn new(rule: &Rule<FIELDS>) -> Self {
        Self {
            data: sys::rte_acl_rule_data {
                category_mask: 1,
                priority: rule.priority.try_into().unwrap_or(i32::MAX),
                userdata: rule.id.get(),
            },
            fields: rule.criteria.map(|criterion| sys::rte_acl_field {
                value: sys::rte_acl_field_types { u64_: criterion.value.into() },
                mask_range: sys::rte_acl_field_types { u64_: criterion.bound.into() },
            }),
        }
    }
}

/// Compiles rules; also tells by how much DPDK's heap grew.
fn compile<'a, const FIELDS: usize>(
    eal: &Eal,
    rules: impl ExactSizeIterator<Item = &'a Rule<FIELDS>>,
    config: &sys::rte_acl_config,
) -> Result<(Context, usize)> {
    let before = heap_bytes();
    let mut context = Context::create::<FIELDS>(eal, rules.len())?;
    let mut chunk = Vec::with_capacity(CHUNK);
    for rule in rules {
        chunk.push(RawRule::new(rule));
        if chunk.len() == CHUNK {
            context.add(&chunk)?;
            chunk.clear();
        }
    }
    context.add(&chunk)?;
    context.build(config)?;
    Ok((context, heap_bytes().saturating_sub(before)))
}

/// The build configuration of a layout, checked against the key.
fn config<K>(fields: &[Field]) -> Result<sys::rte_acl_config> {
    let invalid = |detail: &str| Error::new("rte_acl_build", libc::EINVAL, detail);
    if fields.len() > sys::RTE_ACL_MAX_FIELDS as usize {
        return Err(invalid("too many fields"));
    }
    if fields.first().is_none_or(|first| first.size != 1) {
        return Err(invalid("the first field has one octet"));
    }
    for (group, fields) in (0..).zip(fields.chunk_by(|a, b| a.group == b.group)) {
        let octets: usize = fields.iter().map(|field| usize::from(field.size)).sum();
        let adjoin = fields.windows(2).all(|f| f[0].offset + usize::from(f[0].size) == f[1].offset);
        if fields[0].group != group || !adjoin || octets != if group == 0 { 1 } else { 4 } {
            return Err(invalid("groups after the first are four adjoining octets"));
        }
        // The first group too is read as four octets where others stand behind it.
        if fields[0].offset + 4 > size_of::<K>() {
            return Err(invalid("a field is read beyond the key's end"));
        }
    }
    // max_size 0 makes it split a growing set into several tries early, which keeps both memory and time in bounds.
    // Any other limit makes it try larger tries first: 1.6 GB for 3,000 crossing rules where 200 MB do.
    let mut config = sys::rte_acl_config {
        num_categories: 1,
        num_fields: fields.len() as u32,
        max_size: 0,
        ..Default::default()
    };
    for ((field, index), definition) in fields.iter().zip(0..).zip(&mut config.defs) {
        *definition = sys::rte_acl_field_def {
            type_: match field.compare {
                Match::Bitmask => sys::RTE_ACL_FIELD_TYPE_BITMASK,
                Match::Prefix => sys::RTE_ACL_FIELD_TYPE_MASK,
                Match::Range => sys::RTE_ACL_FIELD_TYPE_RANGE,
            } as u8,
            size: field.size,
            field_index: index,
            input_index: field.group,
            offset: field.offset as u32,
        };
    }
    Ok(config)
}

fn limit(bytes: usize, max_bytes: usize) -> Result<()> {
    if bytes <= max_bytes { Ok(()) } else { Err(too_big("rte_acl_build")) }
}

fn too_big(call: &'static str) -> Error {
    Error { call, errno: Errno(libc::EFBIG), detail: None }
}

/// What is allocated of DPDK's heaps, on all sockets.
fn heap_bytes() -> usize {
    let allocated = |socket| {
        let mut stats = sys::rte_malloc_socket_stats::default();
        // SAFETY: writes `stats`, or refuses a socket that does not exist.
        let answer = unsafe { sys::rte_malloc_get_socket_stats(socket, &raw mut stats) };
        if answer == 0 { stats.heap_allocsz_bytes } else { 0 }
    };
    (0..MAX_SOCKETS).map(allocated).sum()
}

/// Rules copied at once.
const CHUNK: usize = 1024;
const MAX_SOCKETS: i32 = 32;
/// Before all rules, one of so many is compiled, if that makes at least [`SAMPLE_RULES`].
const SAMPLES: [usize; 2] = [64, 8];
const SAMPLE_RULES: usize = 1024;
