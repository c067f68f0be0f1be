//! Which of several operators does the work.

use clap::Args as ClapArgs;
use clap::builder::BoolishValueParser;

use crate::domain::shard::Shard;

#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Replicas")]
pub struct ElectionArgs {
    /// Of all replicas, have the one that holds a Lease do the work, while the others stand by; with a
    /// PostgreSQL store only
    #[arg(
        long,
        env = "SUMSQ_LEADER_ELECTION",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    pub leader_election: bool,

    /// The Lease's name, to which a shard's is added. It lies in the operator's own namespace
    #[arg(
        long,
        env = "SUMSQ_LEASE",
        value_name = "NAME",
        default_value = "sumsq"
    )]
    pub lease: String,

    /// What the Lease calls this replica; no two may have the same [default: HOSTNAME]
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub pod_name: Option<String>,

    /// Look after one part of the namespaces only: 2/5 is the second of five parts
    #[arg(
        long,
        env = "SUMSQ_SHARD",
        value_name = "NUMBER/COUNT",
        default_value = "1/1",
        hide_default_value = true
    )]
    pub shard: Shard,
}

impl ElectionArgs {
    /// Each shard has a Lease of its own; another count of shards has others.
    #[must_use]
    pub fn lease_name(&self) -> String {
        let suffix = self.shard.suffix();
        suffix.map_or_else(
            || self.lease.clone(),
            |suffix| format!("{}-{suffix}", self.lease),
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::{Args, Command};

    fn election(flags: &[&str]) -> super::ElectionArgs {
        let args = Args::parse_from([&["sumsq", "controller"], flags].concat());
        match args.command {
            Command::Controller(args) => args.election,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_election_is_for_postgresql() {
        for (flags, taken) in [
            (&[][..], true),
            (&["--leader-election"], false),
            (&["--leader-election=false"], true),
            (
                &["--leader-election", "--store", "sqlite:/x/sumsq.db"],
                false,
            ),
            (
                &["--leader-election", "--store", "postgres://sumsq@db/sumsq"],
                true,
            ),
        ] {
            let args = Args::parse_from([&["sumsq", "controller"], flags].concat());
            let Command::Controller(args) = args.command else {
                panic!("it is the controller's");
            };
            let Err(refused) = args.checked() else {
                assert!(taken, "{flags:?}");
                continue;
            };
            assert!(!taken, "{flags:?}: {refused}");
            assert_eq!(refused.exit_code(), 2);
            let told = refused.to_string();
            assert!(
                told.starts_with("error: --leader-election is for a PostgreSQL store"),
                "{told}"
            );
            assert!(told.contains("Usage: sumsq controller"), "{told}");
        }
    }

    #[test]
    fn each_shard_of_each_count_has_a_lease_of_its_own() {
        let off = election(&[]);
        assert!(!off.leader_election);
        assert_eq!(off.lease_name(), "sumsq");
        assert!(election(&["--leader-election"]).leader_election);
        assert!(!election(&["--leader-election=false"]).leader_election);
        let second = election(&["--lease", "counts", "--shard", "2/5"]);
        assert_eq!(second.lease_name(), "counts-2-of-5");
        assert_eq!(election(&["--shard=1/1"]).lease_name(), "sumsq");
    }
}
