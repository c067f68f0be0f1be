//! `sumsq store adopt` and `sumsq store purge`: what becomes of the data of sources that are gone.

use std::process::ExitCode;

use anyhow::{Result, bail};
use indicatif::{HumanBytes, HumanCount};

use super::find;
use crate::args::Conflict;
use crate::store::Store;
use crate::store::relational::{Adopted, OnConflict, Relational};

pub(super) async fn adopt(
    store: &dyn Relational,
    gone: &str,
    heir: &str,
    on_conflict: Conflict,
) -> Result<ExitCode> {
    let sources = store.sources().await?;
    let gone = find(&sources, gone, false)?;
    let heir = find(&sources, heir, true)?;
    let on_conflict = match on_conflict {
        Conflict::Refuse => OnConflict::Refuse,
        Conflict::Keep => OnConflict::Keep,
        Conflict::Take => OnConflict::Take,
    };
    let adopted =
        crate::store::relational::adopt(store, gone.id, heir.id, on_conflict, &|_| {}).await?;
    match adopted {
        Adopted::Moved {
            agent_days,
            conflicts,
            removed,
        } => {
            println!(
                "{} has {} agent days more; {} ({}) {}",
                heir.key,
                HumanCount(agent_days),
                gone.key,
                gone.id,
                if removed {
                    "is no more"
                } else {
                    "is in use again, and keeps its own"
                }
            );
            if conflicts > 0 {
                let stayed = match on_conflict {
                    OnConflict::Take => &gone.key,
                    OnConflict::Refuse | OnConflict::Keep => &heir.key,
                };
                println!("of {conflicts} days that both held differently, those of {stayed} stay");
            }
            Ok(ExitCode::SUCCESS)
        }
        Adopted::NotGone => bail!(
            "nothing was changed: meanwhile {} is in use again, or {} is gone",
            gone.key,
            heir.key
        ),
        Adopted::Refused {
            conflicts,
            agent,
            day,
        } => bail!(
            "nothing was changed: both hold {conflicts} agent days with different content, the \
             first of them agent {agent:?} on {day}; --on-conflict keep leaves those of {}, \
             --on-conflict take puts those of {} in their place",
            heir.key,
            gone.id
        ),
    }
}

pub(super) async fn purge(store: &dyn Relational, gone: &str, yes: bool) -> Result<ExitCode> {
    let sources = store.sources().await?;
    let gone = find(&sources, gone, false)?;
    let size = store.size(gone.id).await?;
    let what = format!(
        "{} ({}): {} agents, {} agent days, {}, and its fetch log",
        gone.key,
        gone.id,
        HumanCount(gone.agent_count),
        HumanCount(size.agent_days),
        HumanBytes(size.bytes)
    );
    if !yes {
        bail!("nothing was removed; --yes removes {what}");
    }
    if !crate::store::relational::purge(store, gone.id).await? {
        bail!("nothing was removed: {} is in use again", gone.key);
    }
    println!("removed {what}");
    Ok(ExitCode::SUCCESS)
}
