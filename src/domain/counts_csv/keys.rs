//! Codes by column, and the combinations of them that cells are about.

use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexSet;

use super::super::agent_day::{CellKey, VisitorTrait};
use super::codes::Codes;

/// The codes of a file or of a part of it, by column.
#[derive(Debug, Default)]
pub(super) struct AllCodes {
    pub(super) agents: Codes,
    pub(super) variations: Codes,
    pub(super) policies: Codes,
    pub(super) trait_groups: Codes,
    pub(super) trait_values: Codes,
}

/// Numbers of variation, policy and trait (group and value).
pub(super) type KeyNumbers = (u32, u32, Option<(u32, u32)>);

/// The combinations that occur, numbered in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Keys {
    known: IndexSet<KeyNumbers, RandomState>,
    last: usize,
}

impl Keys {
    #[inline]
    pub(super) fn number(&mut self, key: KeyNumbers) -> u32 {
        let is = |place: usize| self.known.get_index(place) == Some(&key);
        if !is(self.last) {
            // Rows often come in the order of those before them.
            self.last = if is(self.last + 1) {
                self.last + 1
            } else {
                self.known.insert_full(key).0
            };
        }
        u32::try_from(self.last).expect("a file has fewer rows")
    }

    /// In order of number.
    pub(super) fn iter(&self) -> impl Iterator<Item = &KeyNumbers> {
        self.known.iter()
    }
}

/// The numbers that the codes of a later part of the file have in the whole.
#[derive(Debug)]
pub(super) struct Renumbered {
    pub(super) agents: Vec<u32>,
    variations: Vec<u32>,
    policies: Vec<u32>,
    trait_groups: Vec<u32>,
    trait_values: Vec<u32>,
}

impl AllCodes {
    pub(super) fn take_over(&mut self, later: &Self) -> Renumbered {
        Renumbered {
            agents: self.agents.take_over(&later.agents),
            variations: self.variations.take_over(&later.variations),
            policies: self.policies.take_over(&later.policies),
            trait_groups: self.trait_groups.take_over(&later.trait_groups),
            trait_values: self.trait_values.take_over(&later.trait_values),
        }
    }
}

impl Renumbered {
    pub(super) fn key(&self, (variation, policy, of_trait): KeyNumbers) -> KeyNumbers {
        let of_trait = of_trait.map(|(group, value)| {
            let (group, value) = (group as usize, value as usize);
            (self.trait_groups[group], self.trait_values[value])
        });
        let (variation, policy) = (variation as usize, policy as usize);
        (self.variations[variation], self.policies[policy], of_trait)
    }
}

/// All keys of a file in their order: by its place there, what each is.
#[derive(Debug)]
pub(super) struct SortedKeys {
    pub(super) keys: Vec<CellKey>,
    /// By place: which arm it belongs to, and which trait group of the arm. Both rise with place.
    pub(super) arms: Vec<u32>,
    pub(super) groups: Vec<u32>,
}

impl SortedKeys {
    /// The keys in order and, by number, each one's place.
    pub(super) fn of(keys: &Keys, codes: &AllCodes) -> (Self, Vec<u32>) {
        let variations = codes.variations.shared();
        let policies = codes.policies.shared();
        let groups = codes.trait_groups.shared();
        let values = codes.trait_values.shared();
        let shared = |codes: &[Arc<str>], number: u32| Arc::clone(&codes[number as usize]);
        let key = |(variation, policy, of_trait): &KeyNumbers| CellKey {
            variation: shared(&variations, *variation),
            policy: shared(&policies, *policy),
            visitor_trait: of_trait.map(|(group, value)| VisitorTrait {
                group: shared(&groups, group),
                value: shared(&values, value),
            }),
        };
        let mut numbered: Vec<(CellKey, usize)> = keys.iter().map(key).zip(0..).collect();
        numbered.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let mut places = vec![0; numbered.len()];
        for (place, (_, number)) in (0..).zip(&numbered) {
            places[*number] = place;
        }
        let keys: Vec<CellKey> = numbered.into_iter().map(|(key, _)| key).collect();
        let same_arm = |one: &CellKey, other: &CellKey| {
            one.variation == other.variation && one.policy == other.policy
        };
        let same_group = |one: &CellKey, other: &CellKey| {
            same_arm(one, other) && trait_group(one) == trait_group(other)
        };
        let arms = runs(&keys, same_arm);
        let groups = runs(&keys, same_group);
        (Self { keys, arms, groups }, places)
    }
}

/// The trait group that a cell is of.
pub(super) fn trait_group(key: &CellKey) -> Option<&str> {
    let of_trait = key.visitor_trait.as_ref();
    of_trait.map(|visitor_trait| &*visitor_trait.group)
}

/// Numbers each run of keys that are the same in some respect.
fn runs(keys: &[CellKey], same: impl Fn(&CellKey, &CellKey) -> bool) -> Vec<u32> {
    let runs = (0..).zip(keys.chunk_by(same));
    runs.flat_map(|(number, run)| run.iter().map(move |_| number))
        .collect()
}
