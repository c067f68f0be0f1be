//! Two operators and more: who leads, who takes over and when, and that nothing is lost or doubled
//! by it.

mod blows;
mod fleet;
mod freeze;
mod handover;

mod shards;
mod wire;

use std::fmt::Write;

/// What a file of this version holds: every number is made of it, so that a mixture shows.
pub fn counts(version: u32, agents: u32, days: u32) -> String {
    let mut file =
        "Date,Agent,Variation,Sels,sales,sales_sumsq,sales_val,sales_val_sumsq\n".to_owned();
    for day in 0..days {
        for agent in 0..agents {
            for variation in ["A", "B"] {
                let date = 1_704_067_200 + day * 86_400;
                writeln!(
                    file,
                    "{date},agent-{agent},{variation},{visitors},{version},{version},{version},{version}",
                    visitors = version + 100,
                )
                .unwrap();
            }
        }
    }
    file
}
