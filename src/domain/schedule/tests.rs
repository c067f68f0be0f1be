//! Both changes of daylight saving in four zones, by tables and against the slow definition.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Slots between two civil times of the zone, as `MM-DD HH:MM±offset`.
fn slots(cron: &str, zone: &str, from: &str, to: &str) -> Vec<String> {
    let schedule = Schedule::parse(cron, zone).unwrap();
    let instant = |civil: &str| {
        civil
            .parse::<DateTime>()
            .unwrap()
            .in_tz(zone)
            .unwrap()
            .timestamp()
    };
    let (mut slot, end) = (instant(from), instant(to));
    let mut found = Vec::new();
    while let Some(next) = schedule.next_after(slot).filter(|next| *next < end) {
        found.push(
            next.in_tz(zone)
                .unwrap()
                .strftime("%m-%d %H:%M%:z")
                .to_string(),
        );
        slot = next;
    }
    found
}

#[test]
fn the_gap_of_spring_fires_each_slot_once_at_its_end() {
    let berlin = |cron| {
        slots(
            cron,
            "Europe/Berlin",
            "2026-03-28T20:00",
            "2026-03-29T04:00",
        )
    };
    assert_eq!(berlin("30 2 * * *"), ["03-29 03:00+02:00"]);
    assert_eq!(berlin("15,45 2 * * *"), ["03-29 03:00+02:00"]);
    assert_eq!(
        berlin("0 1-3 * * *"),
        ["03-29 01:00+01:00", "03-29 03:00+02:00"]
    );
    assert_eq!(
        berlin("*/30 1-3 * * *"),
        [
            "03-29 01:00+01:00",
            "03-29 01:30+01:00",
            "03-29 03:00+02:00",
            "03-29 03:30+02:00"
        ]
    );
    let new_york = |cron| {
        slots(
            cron,
            "America/New_York",
            "2026-03-07T20:00",
            "2026-03-08T04:00",
        )
    };
    assert_eq!(new_york("15,45 2 * * *"), ["03-08 03:00-04:00"]);
    let sydney = |cron| {
        slots(
            cron,
            "Australia/Sydney",
            "2026-10-03T20:00",
            "2026-10-04T04:00",
        )
    };
    assert_eq!(sydney("30 2 * * *"), ["10-04 03:00+11:00"]);
    // Lord Howe moves by half an hour: 02:00 becomes 02:30.
    let lord_howe = |cron| {
        slots(
            cron,
            "Australia/Lord_Howe",
            "2026-10-03T20:00",
            "2026-10-04T04:00",
        )
    };
    assert_eq!(lord_howe("15 2 * * *"), ["10-04 02:30+11:00"]);
    assert_eq!(lord_howe("45 2 * * *"), ["10-04 02:45+11:00"]);
    assert_eq!(
        lord_howe("*/15 2 * * *"),
        ["10-04 02:30+11:00", "10-04 02:45+11:00"]
    );
}

#[test]
fn the_fold_of_autumn_fires_each_slot_once_the_first_time() {
    let berlin = |cron| {
        slots(
            cron,
            "Europe/Berlin",
            "2026-10-24T20:00",
            "2026-10-25T04:00",
        )
    };
    assert_eq!(berlin("30 2 * * *"), ["10-25 02:30+02:00"]);
    assert_eq!(
        berlin("30 1,2 * * *"),
        ["10-25 01:30+02:00", "10-25 02:30+02:00"]
    );
    assert_eq!(
        berlin("0 1-3 * * *"),
        [
            "10-25 01:00+02:00",
            "10-25 02:00+02:00",
            "10-25 03:00+01:00"
        ]
    );
    let new_york = |cron| {
        slots(
            cron,
            "America/New_York",
            "2026-10-31T20:00",
            "2026-11-01T03:00",
        )
    };
    assert_eq!(
        new_york("30 1,2 * * *"),
        ["11-01 01:30-04:00", "11-01 02:30-05:00"]
    );
    let sydney = |cron| {
        slots(
            cron,
            "Australia/Sydney",
            "2026-04-04T20:00",
            "2026-04-05T04:00",
        )
    };
    assert_eq!(
        sydney("*/30 2 * * *"),
        ["04-05 02:00+11:00", "04-05 02:30+11:00"]
    );
    let lord_howe = |cron| {
        slots(
            cron,
            "Australia/Lord_Howe",
            "2026-04-04T20:00",
            "2026-04-05T04:00",
        )
    };
    assert_eq!(lord_howe("45 1 * * *"), ["04-05 01:45+11:00"]);
    assert_eq!(
        lord_howe("15,45 1 * * *"),
        ["04-05 01:15+11:00", "04-05 01:45+11:00"]
    );
}

#[test]
fn cron_means_what_every_cron_means() {
    let utc = |cron, from, to| slots(cron, "UTC", from, to);
    assert_eq!(
        utc("0 9 29 2 *", "2026-01-01T00:00", "2033-01-01T00:00"),
        ["02-29 09:00+00:00", "02-29 09:00+00:00"]
    );
    // Day of month or day of week, where both are given.
    assert_eq!(
        utc("0 0 13 * FRI", "2026-02-01T00:00", "2026-02-15T00:00"),
        ["02-06 00:00+00:00", "02-13 00:00+00:00"]
    );
    assert_eq!(
        utc("0 0 1 JAN,JUL *", "2026-02-01T00:00", "2027-02-01T00:00"),
        ["07-01 00:00+00:00", "01-01 00:00+00:00"]
    );
}

#[test]
fn what_is_no_schedule_says_why() {
    let error = |cron: &str, zone: &str| Schedule::parse(cron, zone).unwrap_err().to_string();
    assert_eq!(
        error("0 9 31 2 *", "UTC"),
        "schedule \"0 9 31 2 *\" never fires: no such date exists"
    );
    assert!(
        error("0 9 * *", "UTC").ends_with("it has 4"),
        "{}",
        error("0 9 * *", "UTC")
    );
    assert!(error("0 0 9 * * *", "UTC").ends_with("it has 6"));
    assert!(error("@daily", "UTC").ends_with("it has 1"));
    assert!(error("61 9 * * *", "UTC").contains("is not a cron expression of five fields"));
    for zone in ["Europe/Berlim", "Local", "", "local", "CEST+2", "+02:00"] {
        assert_eq!(
            error("0 9 * * *", zone),
            format!("timeZone {zone:?} is not an IANA time zone such as Europe/Berlin or UTC")
        );
    }
}

#[test]
fn missed_slots_are_counted_up_to_a_limit_and_the_newest_is_exact() {
    let schedule = Schedule::parse("* * * * *", "Europe/Berlin").unwrap();
    let due = schedule
        .due(at("2025-01-01T00:00:00Z"), at("2026-01-01T00:00:30Z"), 100)
        .unwrap();
    assert_eq!(
        due,
        DueSlots {
            newest: at("2026-01-01T00:00:00Z"),
            count: 100
        }
    );
    assert_eq!(
        schedule.due(at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:59Z"), 100),
        None
    );
}

#[test]
fn jitter_is_stable_forward_and_bounded() {
    let most = Duration::from_mins(5);
    let jitter = |cron: &str, uid: &str| Schedule::parse(cron, "UTC").unwrap().jitter(uid, most);
    assert_eq!(jitter("0 9 * * *", "a"), jitter("0 9 * * *", "a"));
    let spread: std::collections::HashSet<_> = (0..200)
        .map(|uid| jitter("0 9 * * *", &uid.to_string()))
        .collect();
    assert!(spread.len() > 100, "{} different ones", spread.len());
    for uid in 0..200 {
        assert!(jitter("0 9 * * *", &uid.to_string()) <= most);
        assert!(jitter("*/5 * * * *", &uid.to_string()) <= Duration::from_secs(30));
    }
    assert_eq!(
        Schedule::parse("0 9 * * *", "UTC")
            .unwrap()
            .jitter("a", Duration::ZERO),
        Duration::ZERO
    );
}

fn crons() -> impl Strategy<Value = String> {
    let minute = prop_oneof![
        Just("0".to_owned()),
        (1..30u8).prop_map(|n| format!("*/{n}")),
        (0..30u8, 30..60u8).prop_map(|(a, b)| format!("{a},{b}")),
        (0..30u8, 30..60u8).prop_map(|(a, b)| format!("{a}-{b}/7")),
    ];
    let hour = prop_oneof![
        Just("*".to_owned()),
        (0..4u8).prop_map(|hour| hour.to_string()),
        (0..2u8, 2..4u8).prop_map(|(a, b)| format!("{a}-{b}")),
    ];
    (minute, hour).prop_map(|(minute, hour)| format!("{minute} {hour} * * *"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The definition, the slow way: every minute of the civil days around a change, mapped.
    #[test]
    fn every_civil_slot_fires_exactly_once(
        cron in crons(),
        zone in prop::sample::select(vec![
            ("Europe/Berlin", "2026-03-28"), ("Europe/Berlin", "2026-10-24"),
            ("America/New_York", "2026-03-07"), ("America/New_York", "2026-10-31"),
            ("Australia/Sydney", "2026-10-03"), ("Australia/Sydney", "2026-04-04"),
            ("Australia/Lord_Howe", "2026-10-03"), ("Australia/Lord_Howe", "2026-04-04"),
        ]),
    ) {
        let (zone, day) = zone;
        let schedule = Schedule::parse(&cron, zone).unwrap();
        let start: DateTime = format!("{day}T12:00").parse().unwrap();
        let mut expected = Vec::new();
        for minute in 0..(36 * 60) {
            let civil = start.checked_add(minute.minutes()).unwrap();
            let zoned = civil.to_zoned(TimeZone::UTC).unwrap();
            if schedule.read().is_time_matching(&zoned).unwrap() {
                expected.push(schedule.instant(civil).unwrap());
            }
        }
        prop_assert!(expected.is_sorted());
        expected.dedup();
        let before = start.in_tz(zone).unwrap().timestamp().checked_sub(1.second()).unwrap();
        let mut fired = Vec::new();
        let mut slot = before;
        while fired.len() < expected.len() {
            slot = schedule.next_after(slot).unwrap();
            fired.push(slot);
        }
        prop_assert_eq!(&fired, &expected);
        // What is due agrees with what comes next.
        for (index, until) in fired.iter().enumerate() {
            let due = schedule.due(before, *until, 10_000).unwrap();
            prop_assert_eq!(due.newest, *until);
            prop_assert_eq!(due.count as usize, index + 1);
        }
    }
}
