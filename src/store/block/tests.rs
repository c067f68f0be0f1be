//! What is written is read, and nothing else is.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use unsigned_varint::decode;

use super::reading::Input;
use super::*;
use crate::domain::agent_day::{Cell, Decimal, GoalCounts, GoalValues};

fn decimals() -> impl Strategy<Value = Decimal> {
    prop_oneof![
        // As written: units are whole last digits.
        (-1_000_000_000_i128..1_000_000_000, -10_i8..=12).prop_map(|(mantissa, decimals)| {
            Decimal {
                units: mantissa * Decimal::last_digit(decimals).unwrap_or(1),
                decimals,
            }
        }),
        // Sums of different precisions.
        (any::<i64>(), 0_i8..=12).prop_map(|(units, decimals)| Decimal {
            units: units.into(),
            decimals
        }),
    ]
}

fn counts() -> impl Strategy<Value = GoalCounts> {
    let values = (decimals(), decimals()).prop_map(|(sum, sumsq)| GoalValues { sum, sumsq });
    (
        0..=1_000_000_000_000_000_u64,
        0..=10_u128.pow(30),
        prop::option::of(values),
    )
        .prop_map(|(count, count_sumsq, values)| GoalCounts {
            count,
            count_sumsq,
            values,
        })
}

fn keys() -> impl Strategy<Value = CellKey> {
    let code = || prop::sample::select(vec!["A", "B", "r", "loyalty", "gold", "é‑x", "\"q\""]);
    (code(), code(), prop::option::of((code(), code()))).prop_map(
        |(variation, policy, of_trait)| CellKey {
            variation: variation.into(),
            policy: policy.into(),
            visitor_trait: of_trait.map(|(group, value)| VisitorTrait {
                group: group.into(),
                value: value.into(),
            }),
        },
    )
}

fn days() -> impl Strategy<Value = AgentDay> {
    (0..4_usize).prop_flat_map(|goals| {
        let cell = (0..=1_000_000_000_000_000_u64, vec(counts(), goals));
        btree_map(keys(), cell, 0..12).prop_map(move |cells| AgentDay {
            agent: "agent".into(),
            day: Day(19_800),
            goals: (0..goals)
                .map(|goal| Arc::from(format!("g-{goal}")))
                .collect(),
            cells: cells
                .into_iter()
                .map(|(key, (visitors, goals))| Cell {
                    key,
                    visitors,
                    goals,
                })
                .collect(),
        })
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(day in days()) {
        let block = write(&day);
        prop_assert_eq!(read("agent".into(), day.day, &block), Ok(day));
    }

    #[test]
    fn numbers_are_read_as_the_crate_for_them_reads_them(
        mut bytes in vec(any::<u8>(), 0..22),
        long in 0..22_usize,
    ) {
        bytes.iter_mut().take(long).for_each(|byte| *byte |= 0x80);
        let mut input = Input(&bytes);
        let expected = decode::u64(&bytes).ok();
        prop_assert_eq!(input.u64().ok(), expected.map(|(number, _)| number));
        prop_assert!(expected.is_none_or(|(_, rest)| rest == input.0));
        let mut input = Input(&bytes);
        let expected = decode::u128(&bytes).ok();
        let zigzag = |number: u128| (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
        prop_assert_eq!(input.i128().ok(), expected.map(|(number, _)| zigzag(number)));
        prop_assert!(expected.is_none_or(|(_, rest)| rest == input.0));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        let mut block = vec![VERSION];
        block.extend(bytes);
        drop(read("agent".into(), Day(0), &block));
    }

    #[test]
    fn damage_is_found_or_harmless(day in days(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut block = write(&day);
        let at = at.index(block.len());
        block[at] = byte;
        // What can still be read is canonical: it is written the same way again.
        if let Ok(read) = read("agent".into(), day.day, &block) {
            let again = write(&read);
            prop_assert!(again.len() <= block.len());
        }
    }

    #[test]
    fn a_block_cut_short_is_refused(day in days(), at in any::<prop::sample::Index>()) {
        let block = write(&day);
        let cut = &block[..at.index(block.len())];
        prop_assert!(read("agent".into(), day.day, cut).is_err());
    }
}

#[test]
fn a_binary_goal_takes_few_bytes() {
    let cell = |variation: &str, count: u64| Cell {
        key: CellKey {
            variation: variation.into(),
            policy: "r".into(),
            visitor_trait: None,
        },
        visitors: 1000,
        goals: vec![GoalCounts {
            count,
            count_sumsq: count.into(),
            values: None,
        }],
    };
    let day = AgentDay {
        agent: "agent".into(),
        day: Day(0),
        goals: vec![Arc::from("g")].into(),
        cells: vec![cell("A", 100), cell("B", 120)].into(),
    };
    assert_eq!(write(&day).len(), 28);
}

#[test]
fn other_versions_are_named() {
    assert_eq!(
        read("a".into(), Day(0), &[9, 0]),
        Err(BlockError::UnknownVersion(9))
    );
    assert_eq!(read("a".into(), Day(0), &[]), Err(BlockError::Malformed));
}
