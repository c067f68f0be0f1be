//! What the program and the cluster's objects are called.

use std::ffi::OsStr;
use std::path::Path;
use std::str::FromStr;

/// What a process is called by, and so what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalledAs {
    Sumsq,
    /// `kubectl-sumsq`, which kubectl runs for `kubectl sumsq`.
    Plugin,
    /// `kubectl_complete-sumsq`, which kubectl runs for the words behind `kubectl sumsq`.
    Completion,
}

impl CalledAs {
    /// By the name of the file that was run, with or without `.exe`.
    #[must_use]
    pub fn by(program: Option<&OsStr>) -> Self {
        let name = program.and_then(|program| Path::new(program).file_stem()?.to_str());
        match name {
            // kubectl takes an underscore for a dash that stands in a command's name.
            Some("kubectl-sumsq" | "kubectl_sumsq") => Self::Plugin,
            Some("kubectl_complete-sumsq") => Self::Completion,
            _ => Self::Sumsq,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    DataSource,
    Agent,
}

impl Kind {
    /// By a name that kubectl takes: `dsrc`, `agents`, `datasource.sumsq.dev`.
    #[must_use]
    pub fn named(resource: &str) -> Option<Self> {
        let lower = resource.to_ascii_lowercase();
        match lower.strip_suffix(".sumsq.dev").unwrap_or(&lower) {
            "dsrc" | "datasource" | "datasources" => Some(Self::DataSource),
            "agent" | "agents" => Some(Self::Agent),
            _ => None,
        }
    }
}

/// A name as kubectl takes it, with or without the resource in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceName {
    /// None: no resource was named.
    pub kind: Option<Kind>,
    pub name: String,
}

impl FromStr for ResourceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) = match text.split_once('/') {
            None => (None, text),
            Some((resource, name)) => match Kind::named(resource) {
                Some(kind) => (Some(kind), name),
                None => {
                    return Err(format!(
                        "{resource} is neither dsrc nor agent; a namespace goes into -n"
                    ));
                }
            },
        };
        if name.is_empty() || name.contains('/') {
            return Err("write NAME, dsrc/NAME or agent/NAME; the namespace goes into -n".into());
        }
        Ok(Self {
            kind,
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_s_name_tells_what_runs() {
        for (program, expected) in [
            ("sumsq", CalledAs::Sumsq),
            ("/usr/local/bin/sumsq", CalledAs::Sumsq),
            ("/home/a/.krew/bin/kubectl-sumsq", CalledAs::Plugin),
            ("kubectl-sumsq.exe", CalledAs::Plugin),
            ("kubectl_complete-sumsq", CalledAs::Completion),
            ("kubectl-sumsq-other", CalledAs::Sumsq),
        ] {
            assert_eq!(CalledAs::by(Some(program.as_ref())), expected, "{program}");
        }
        assert_eq!(CalledAs::by(None), CalledAs::Sumsq);
    }

    #[test]
    fn names_are_taken_as_kubectl_takes_them() {
        for (text, kind) in [
            ("counts", None),
            ("dsrc/counts", Some(Kind::DataSource)),
            ("DataSource/counts", Some(Kind::DataSource)),
            ("datasource.sumsq.dev/counts", Some(Kind::DataSource)),
            ("agent/counts", Some(Kind::Agent)),
            ("agents.sumsq.dev/counts", Some(Kind::Agent)),
        ] {
            let name = text.parse::<ResourceName>().unwrap();
            assert_eq!((name.kind, &*name.name), (kind, "counts"), "{text}");
        }
        for text in ["", "dsrc/", "pod/counts", "growth/counts", "dsrc/a/b"] {
            assert!(text.parse::<ResourceName>().is_err(), "{text:?}");
        }
    }
}
