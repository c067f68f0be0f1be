//! What a person sees while fetches run: bars on a terminal, plain lines when piped.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::domain::data_source::SourceKey;
use crate::ingest::Progress;

/// Progress and news on standard error; results go to standard output elsewhere.
#[derive(Debug)]
pub struct Screen {
    bars: MultiProgress,
    by_source: Mutex<HashMap<SourceKey, ProgressBar>>,
    terminal: bool,
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen {
    #[must_use]
    pub fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            by_source: Mutex::default(),
            terminal,
        }
    }

    /// One line of news, above the bars.
    pub fn say(&self, line: &str) {
        if self.terminal {
            self.bars.suspend(|| eprintln!("{line}"));
        } else {
            eprintln!("{line}");
        }
    }

    /// The source's bar goes.
    pub fn done(&self, source: &SourceKey) {
        let mut bars = self
            .by_source
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bars.remove(source) {
            bar.finish_and_clear();
        }
    }

    fn bar(&self, source: &SourceKey) -> ProgressBar {
        let mut bars = self
            .by_source
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        bars.entry(source.clone())
            .or_insert_with(|| {
                let bar = self.bars.add(ProgressBar::new_spinner());
                bar.set_style(style("{spinner} {prefix}  {bytes} {msg}"));
                bar.set_prefix(source.to_string());
                bar.enable_steady_tick(Duration::from_millis(100));
                bar
            })
            .clone()
    }
}

impl Progress for Screen {
    fn received(&self, source: &SourceKey, received: u64, of: Option<u64>) {
        if !self.terminal {
            return;
        }
        let bar = self.bar(source);
        if let Some(length) = of
            && bar.length() != Some(length)
        {
            bar.set_length(length);
            bar.set_style(style(
                "{spinner} {prefix}  {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {msg}",
            ));
        }
        bar.set_position(received);
    }

    fn storing(&self, source: &SourceKey, agent_days: u64) {
        if self.terminal {
            self.bar(source)
                .set_message(format!("storing {agent_days} agent days"));
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
