//! `sumsq store backup`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use indicatif::HumanBytes;
use tempfile::NamedTempFile;

use crate::args::StoreAddress;
use crate::store::sqlite::Sqlite;

/// `to` is a file that does not exist yet, or - for the standard output.
pub(super) async fn run(store: &StoreAddress, to: &Path) -> Result<ExitCode> {
    let StoreAddress::Sqlite(store) = store else {
        bail!(
            "PostgreSQL has its own ways: pg_dump, or what your database team does for the others"
        );
    };
    let bytes = if to == Path::new("-") {
        to_standard_output(store).await?
    } else {
        to_file(store, to).await?
    };
    eprintln!("backed up: {}, read back and whole", HumanBytes(bytes));
    Ok(ExitCode::SUCCESS)
}

async fn to_file(store: &Path, to: &Path) -> Result<u64> {
    if to.exists() {
        bail!(
            "{} is there already; a backup never overwrites",
            to.display()
        );
    }
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    // Under its name it is whole.
    let partial = NamedTempFile::with_prefix_in(".backup-", &folder)
        .with_context(|| format!("cannot write into {}", folder.display()))?;
    let bytes = Sqlite::back_up(store, partial.path()).await?;
    partial
        .persist_noclobber(to)
        .with_context(|| format!("cannot make {}", to.display()))?;
    File::open(&folder).and_then(|folder| folder.sync_all())?;
    Ok(bytes)
}

async fn to_standard_output(store: &Path) -> Result<u64> {
    let whole = NamedTempFile::new().context("cannot write into TMPDIR")?;
    let bytes = Sqlite::back_up(store, whole.path()).await?;
    let mut file = fs::File::open(whole.path())?;
    io::copy(&mut file, &mut io::stdout().lock()).context("the standard output is closed")?;
    Ok(bytes)
}
