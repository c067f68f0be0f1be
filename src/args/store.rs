//! Where the store is, and `sumsq store`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::Output;

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
What a DataSource brought stays in the store when the object is deleted (deletionPolicy:
Retain), and when its namespace is. These commands show such data, move them and remove them.
A SOURCE is written NAMESPACE/NAME; where several of one name have come and gone, its id says
which (`list` shows it).

Examples:
  sumsq store list
  sumsq store backup --to /backups/sumsq.db
  sumsq store copy --from sqlite:/var/lib/sumsq/sumsq.db --to postgres://sumsq@db:5432/sumsq
  sumsq store adopt growth/old-name --by growth/new-name
  sumsq store purge growth/old-name --yes")]
pub struct StoreArgs {
    #[command(subcommand)]
    pub command: StoreCommand,
}

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// List every source that the store holds something of, also those whose object is gone
    #[command(after_help = "\
STATE is `there` while the DataSource exists, else `gone`. SIZE is that of the blocks alone.

Example:
  sumsq store list --output json | jq '.[] | select(.present | not)'")]
    List {
        #[command(flatten)]
        store: StoreFlag,

        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
    /// Copy everything into another store: data, fetch logs, Agents
    #[command(after_help = "\
Stop the operator first, and start it again on the new store: ids stay as they are, so it
goes on where it was, and no slot is fetched twice. A copy that was interrupted is taken up by
the same command: what is there already is compared, not sent again. At the end each source is
read back from the new store, every block against its hash, and must have the digest that it
has in the old one; the old store is only read.

An SQLite store that an operator has open is refused as --to. A PostgreSQL database does not tell
whether one is at work: see to it that none is, or its fetches and the copy mix.

A source that the new store knows more of (it has fetched since) is left alone and told;
--replace puts the old store's in its place. That is no single step: the source is removed
first, then sent. A kill in between leaves it out of the new store, or there in part and listed as
gone, so that reports show nothing of it; the same command goes on from there, also without
--replace.

Example:
  sumsq store copy --from sqlite:/var/lib/sumsq/sumsq.db \\
    --to 'postgres://sumsq@db:5432/sumsq?sslmode=verify-full'")]
    Copy {
        /// The store to read
        #[arg(long, value_name = "ADDRESS")]
        from: StoreAddress,

        /// The store to write; it is made where it is missing
        #[arg(long, value_name = "ADDRESS")]
        to: StoreAddress,

        /// Replace sources of which the new store knows more
        #[arg(long)]
        replace: bool,

        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
    /// Write the whole store into one file, while the operator goes on
    #[command(after_help = "\
It holds what was committed when it began, and is read back before it has its name. An SQLite
store is backed up by this, and restored by putting the file in its place while no operator runs;
PostgreSQL has its own ways (pg_dump).

Examples:
  sumsq store backup --to /backups/sumsq-$(date +%F).db
  kubectl -n sumsq-system exec deploy/sumsq -c controller -- /sumsq store backup --to - > sumsq.db")]
    Backup {
        /// A file that is not there yet; - is standard output (by way of a file in TMPDIR)
        #[arg(long, value_name = "FILE")]
        to: PathBuf,

        #[command(flatten)]
        store: StoreFlag,
    },
    /// Give the data of a source that is gone to one that is there
    #[command(after_help = "\
After a DataSource was renamed or its namespace made anew, its old days lie under the old id.
This moves them, in one step for readers, and removes the old source with its fetch log. Where
both hold the same agent and day with different content, it refuses and changes nothing, unless
--on-conflict says whose stay.

Examples:
  sumsq store adopt growth/old-name --by growth/new-name
  sumsq store adopt 6ba7b810-9dad-51d1-80b4-00c04fd430c8 --by growth/shop --on-conflict keep")]
    Adopt {
        /// The source that is gone: NAMESPACE/NAME or its id
        #[arg(value_name = "SOURCE")]
        gone: String,

        /// The source that is there and gets the data: NAMESPACE/NAME or its id
        #[arg(long, value_name = "SOURCE")]
        by: String,

        /// Where both hold the same agent and day with different content
        #[arg(long, value_enum, default_value = "refuse")]
        on_conflict: Conflict,

        #[command(flatten)]
        store: StoreFlag,
    },
    /// Remove everything that a source that is gone has left
    #[command(after_help = "\
Without --yes it says what it would remove, and removes nothing. A source whose DataSource
exists is refused: delete that one with deletionPolicy: Delete instead.

Example:
  sumsq store purge growth/old-name --yes")]
    Purge {
        /// The source that is gone: NAMESPACE/NAME or its id
        #[arg(value_name = "SOURCE")]
        gone: String,

        /// Do it; there is no way back
        #[arg(long)]
        yes: bool,

        #[command(flatten)]
        store: StoreFlag,
    },
}

#[derive(Debug, Clone, ClapArgs)]
pub struct StoreFlag {
    /// The store: sqlite:PATH or postgres://USER@HOST:PORT/DATABASE
    #[arg(
        id = "store",
        long = "store",
        env = "SUMSQ_STORE",
        hide_env_values = true,
        value_name = "ADDRESS",
        default_value = "sqlite:/var/lib/sumsq/sumsq.db"
    )]
    pub address: StoreAddress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Conflict {
    /// Change nothing, and say so.
    Refuse,
    /// The days of the source that is there stay.
    Keep,
    /// The days of the source that is gone take their place.
    Take,
}

/// Where the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreAddress {
    Sqlite(PathBuf),
    Postgres(PostgresUrl),
}

impl StoreAddress {
    /// Where it lies on this machine.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty()),
            Self::Postgres(_) => None,
        }
    }
}

/// May hold a password: shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    /// The whole of it, for the one who connects.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl FromStr for StoreAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(
                path.strip_prefix("//").unwrap_or(path),
            ))),
            // What is wrong with one is said where it is opened: here it would be repeated, and with
            // it its password.
            Some((_, rest)) if rest.starts_with("//") => {
                Ok(Self::Postgres(PostgresUrl(text.to_owned())))
            }
            _ => Err(
                "write sqlite:PATH, such as sqlite:/var/lib/sumsq/sumsq.db, or \
                 postgres://USER@HOST:PORT/DATABASE"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Args;

    #[test]
    fn an_address_tells_no_password() {
        let url = "postgres://user:secret@db:5432/sumsq?sslmode=verify-full";
        let address: StoreAddress = url.parse().unwrap();
        assert_eq!(format!("{address:?}"), "Postgres(<redacted>)");
        assert!(matches!(address, StoreAddress::Postgres(held) if held.reveal() == url));
        // Help shows what a flag's environment variable holds, but not this one's.
        for command in ["controller", "report", "show"] {
            let mut args = Args::command();
            let command = args.find_subcommand_mut(command).unwrap();
            let store = command.get_arguments().find(|arg| arg.get_id() == "store");
            assert!(store.unwrap().is_hide_env_values_set());
        }
        assert_eq!(
            "sqlite:/var/lib/sumsq/sumsq.db".parse(),
            Ok(StoreAddress::Sqlite("/var/lib/sumsq/sumsq.db".into()))
        );
    }
}
