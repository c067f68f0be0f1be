//! What completes a command line, in the language in which kubectl asks plugins: the choices, a
//! line each with a description behind a tab, and a last line that says how a shell is to take them.

use std::fmt::Write;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Arg, Command, CommandFactory, ValueHint};
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use kube::config::Kubeconfig;

use super::cluster::{Cluster, Scope};
use crate::args::plugin::{ClusterArgs, Kind, PluginArgs};
use crate::crd::agent::Agent;
use crate::crd::data_source::DataSource;

/// A shell stands still meanwhile.
const PATIENCE: Duration = Duration::from_secs(3);
/// The shell's own completion of files. (Cobra's `ShellCompDirectiveDefault`)
const FILES: u8 = 0;
/// These choices and no files. (Cobra's `ShellCompDirectiveNoFileComp`)
const NO_FILES: u8 = 4;

/// The answer for the words behind `kubectl sumsq`; the last one is being typed, and may be empty.
pub(super) async fn answer(words: &[String]) -> String {
    let line = Line::read(words);
    let (choices, directive) = line.choices().await;
    let typed = line.typed;
    let mut text = String::new();
    for choice in choices.iter().filter(|choice| choice.starts_with(typed)) {
        _ = writeln!(text, "{}", choice.line());
    }
    _ = writeln!(text, ":{directive}");
    text
}

/// One way to go on.
struct Choice {
    /// What stands before it in the same word, such as `--output=`.
    prefix: String,
    word: String,
    says: Option<String>,
}

impl Choice {
    fn new(word: impl Into<String>, says: Option<String>) -> Self {
        Self {
            prefix: String::new(),
            word: word.into(),
            says,
        }
    }

    fn starts_with(&self, typed: &str) -> bool {
        format!("{}{}", self.prefix, self.word).starts_with(typed)
    }

    fn line(&self) -> String {
        let Self { prefix, word, says } = self;
        match says.as_deref().and_then(|says| says.lines().next()) {
            Some(says) if !says.is_empty() => format!("{prefix}{word}\t{says}"),
            _ => format!("{prefix}{word}"),
        }
    }
}

/// A command line as far as it is written.
struct Line<'a> {
    command: Command,
    /// Of the cluster, as far as they are written.
    cluster: ClusterArgs,
    /// Words that are no flags, after the subcommand.
    given: Vec<&'a str>,
    /// The flag whose value is being typed.
    value_of: Option<Arg>,
    /// What stands before that value in the same word.
    prefix: String,
    typed: &'a str,
}

impl<'a> Line<'a> {
    fn read(words: &'a [String]) -> Self {
        let mut root = PluginArgs::command();
        root.build();
        let (typed, before) = words
            .split_last()
            .map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
        let mut line = Self {
            command: root,
            cluster: ClusterArgs::default(),
            given: Vec::new(),
            value_of: None,
            prefix: String::new(),
            typed,
        };
        for word in before {
            line.take(word);
        }
        if line.value_of.is_none()
            && let Some((flag, _)) = typed.split_once('=')
            && let Some(arg) = line.flag(flag)
        {
            line.value_of = Some(arg);
            line.prefix = format!("{flag}=");
        }
        line
    }

    fn take(&mut self, word: &'a str) {
        if let Some(arg) = self.value_of.take() {
            self.set(arg.get_id().as_str(), word);
            return;
        }
        if let Some((flag, value)) = word.split_once('=')
            && let Some(arg) = self.flag(flag)
        {
            self.set(arg.get_id().as_str(), value);
            return;
        }
        if let Some(arg) = self.flag(word) {
            self.value_of = arg.get_action().takes_values().then_some(arg);
            return;
        }
        // `-ngrowth`: the value sticks to the letter.
        if word.starts_with('-') {
            if let Some(arg) = word.get(..2).and_then(|flag| self.flag(flag)) {
                self.set(arg.get_id().as_str(), &word[2..]);
            }
            return;
        }
        let subcommand = self.command.find_subcommand(word).cloned();
        match subcommand {
            Some(subcommand) if self.given.is_empty() => self.command = subcommand,
            _ => self.given.push(word),
        }
    }

    /// The flag that is written so: `-n` or `--namespace`.
    fn flag(&self, word: &str) -> Option<Arg> {
        let mut args = self.command.get_arguments();
        let found = args.find(|arg| {
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().map(|short| format!("-{short}"));
            long.as_deref() == Some(word) || short.as_deref() == Some(word)
        });
        found.cloned()
    }

    /// What says which cluster is asked.
    fn set(&mut self, id: &str, value: &str) {
        let value = value.to_owned();
        match id {
            "namespace" => self.cluster.namespace = Some(value),
            "context" => self.cluster.context = Some(value),
            "cluster" => self.cluster.cluster = Some(value),
            "user" => self.cluster.user = Some(value),
            "kubeconfig" => self.cluster.kubeconfig = Some(value.into()),
            "as_user" => self.cluster.as_user = Some(value),
            "as_group" => self.cluster.as_group.push(value),
            _ => {}
        }
    }

    async fn choices(&self) -> (Vec<Choice>, u8) {
        if let Some(arg) = &self.value_of {
            let (mut choices, directive) = self.values(arg).await;
            for choice in &mut choices {
                choice.prefix.clone_from(&self.prefix);
            }
            return (choices, directive);
        }
        if self.typed.starts_with('-') {
            return (self.flags(), NO_FILES);
        }
        if self.command.has_subcommands() && self.given.is_empty() {
            let subcommands = self.command.get_subcommands();
            let shown = subcommands.filter(|subcommand| !subcommand.is_hide_set());
            let choices = shown.map(|subcommand| {
                let about = subcommand.get_about().map(ToString::to_string);
                Choice::new(subcommand.get_name(), about)
            });
            return (choices.collect(), NO_FILES);
        }
        self.positional().await
    }

    fn flags(&self) -> Vec<Choice> {
        let args = self.command.get_arguments();
        args.filter(|arg| !arg.is_hide_set())
            .filter_map(|arg| {
                let help = arg.get_help().map(ToString::to_string);
                Some(Choice::new(format!("--{}", arg.get_long()?), help))
            })
            .collect()
    }

    /// What a flag takes.
    async fn values(&self, arg: &Arg) -> (Vec<Choice>, u8) {
        let choices = match arg.get_id().as_str() {
            "namespace" | "operator_namespace" => self.namespaces().await,
            "context" => self.configured(|known| names(known.contexts, |one| one.name)),
            "cluster" => self.configured(|known| names(known.clusters, |one| one.name)),
            "user" => self.configured(|known| names(known.auth_infos, |one| one.name)),
            // Of a report it is one that holds the agent; all are near enough.
            "data_source" => self.data_sources().await,
            _ if arg.get_value_hint() == ValueHint::FilePath => return (Vec::new(), FILES),
            _ => possible(arg),
        };
        (choices, NO_FILES)
    }

    async fn positional(&self) -> (Vec<Choice>, u8) {
        let first = self.given.is_empty();
        let choices = match self.command.get_name() {
            "check" if first => return (Vec::new(), FILES),
            "completion" if first => {
                let mut positionals = self.command.get_positionals();
                positionals.next().map(possible).unwrap_or_default()
            }
            "fetch" | "suspend" | "resume" => self.unnamed(self.data_sources().await),
            "history" | "policy" if first => self.data_sources().await,
            "why" | "status" => {
                let (mut sources, agents) =
                    tokio::join!(self.data_sources(), self.agents("agent/"));
                sources.extend(agents);
                self.unnamed(sources)
            }
            "report" if first => self.codes().await,
            _ => Vec::new(),
        };
        (choices, NO_FILES)
    }

    /// Those that the line does not name already.
    fn unnamed(&self, mut choices: Vec<Choice>) -> Vec<Choice> {
        choices.retain(|choice| !self.given.contains(&&*choice.word));
        choices
    }

    /// Nothing where the cluster does not answer: a shell is no place for its errors.
    async fn ask<T>(&self, request: impl AsyncFnOnce(&Cluster) -> Option<T>) -> Option<T> {
        let asked = async {
            let cluster = Cluster::connect(&self.cluster).await.ok()?;
            request(&cluster).await
        };
        tokio::time::timeout(PATIENCE, asked).await.ok()?
    }

    /// What stands before a name: the resource as it is typed (`dsrc/c`), else `usual`. None: it is
    /// another resource that is typed.
    fn resource(&self, kind: Kind, usual: &str) -> Option<String> {
        match self.typed.split_once('/') {
            None => Some(usual.to_owned()),
            Some((resource, _)) => {
                (Kind::named(resource) == Some(kind)).then(|| format!("{resource}/"))
            }
        }
    }

    async fn data_sources(&self) -> Vec<Choice> {
        let Some(resource) = self.resource(Kind::DataSource, "") else {
            return Vec::new();
        };
        let listed = self.ask(async |cluster| {
            let scope = Scope::Namespace(cluster.namespace());
            cluster.list::<DataSource>(scope, None).await.ok()
        });
        let listed = listed.await.unwrap_or_default();
        let choices = listed.iter().map(|source| {
            let name = format!("{resource}{}", source.name_any());
            Choice::new(name, source.spec.display_name.clone())
        });
        choices.collect()
    }

    async fn agents(&self, usual: &str) -> Vec<Choice> {
        let Some(resource) = self.resource(Kind::Agent, usual) else {
            return Vec::new();
        };
        let listed = self.ask(async |cluster| {
            let scope = Scope::Namespace(cluster.namespace());
            cluster.list::<Agent>(scope, None).await.ok()
        });
        let listed = listed.await.unwrap_or_default();
        let choices = listed.iter().map(|agent| {
            let name = format!("{resource}{}", agent.name_any());
            Choice::new(name, agent.spec.display_name.clone())
        });
        choices.collect()
    }

    /// Agents as the data have them, whether there is an object of each or not.
    async fn codes(&self) -> Vec<Choice> {
        let (named, listed) = tokio::join!(
            self.agents(""),
            self.ask(async |cluster| {
                let scope = Scope::Namespace(cluster.namespace());
                cluster.list::<DataSource>(scope, None).await.ok()
            })
        );
        let mut choices = named;
        let statuses = listed
            .iter()
            .flatten()
            .filter_map(|source| source.status.as_ref());
        for code in statuses.flat_map(|status| &status.agents) {
            if !choices.iter().any(|choice| choice.word == *code) {
                choices.push(Choice::new(code, None));
            }
        }
        choices.sort_by(|one, other| one.word.cmp(&other.word));
        choices
    }

    async fn namespaces(&self) -> Vec<Choice> {
        let listed = self.ask(async |cluster| {
            let api: Api<Namespace> = Api::all(cluster.client());
            api.list(&ListParams::default()).await.ok()
        });
        let listed = listed.await.map(|listed| listed.items).unwrap_or_default();
        let names = listed.iter().map(ResourceExt::name_any);
        names.map(|name| Choice::new(name, None)).collect()
    }

    /// What the kubeconfig names.
    fn configured(&self, of: impl FnOnce(Kubeconfig) -> Vec<String>) -> Vec<Choice> {
        let read = match &self.cluster.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let names = read.map(of).unwrap_or_default().into_iter();
        names.map(|name| Choice::new(name, None)).collect()
    }
}

fn names<T>(all: Vec<T>, name: impl Fn(T) -> String) -> Vec<String> {
    all.into_iter().map(name).collect()
}

fn possible(arg: &Arg) -> Vec<Choice> {
    let shown = |value: &PossibleValue| {
        let help = value.get_help().map(ToString::to_string);
        (!value.is_hide_set()).then(|| Choice::new(value.get_name(), help))
    };
    arg.get_possible_values().iter().filter_map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn completed(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        answer(&words).await
    }

    #[tokio::test]
    async fn what_needs_no_cluster_is_completed_without_one() {
        let mut told = String::new();
        for line in [
            "s",
            "fetch --f",
            "status -o ",
            "-n growth status --output=j",
            "completion ",
            "check ",
            "status --kubeconfig ",
            "history --request-timeout ",
            "nonsense x",
        ] {
            let answer = completed(line).await.replace('\t', "  | ");
            _ = write!(told, "> {line}\n{answer}");
        }
        insta::assert_snapshot!(told, @r"
        > s
        status  | Show the health of all DataSources and Agents, what needs attention first
        suspend  | Hold a DataSource's schedule and retries back
        :4
        > fetch --f
        --force  | Read the file although it is the one that was imported last
        :4
        > status -o 
        wide
        json
        yaml
        name
        :4
        > -n growth status --output=j
        --output=json
        :4
        > completion 
        bash
        zsh
        fish
        :4
        > check 
        :0
        > status --kubeconfig 
        :0
        > history --request-timeout 
        :4
        > nonsense x
        :4
        ");
    }

    #[test]
    fn the_cluster_is_the_one_that_the_line_names() {
        let words = [
            "-ngrowth",
            "fetch",
            "--context=a",
            "--kubeconfig",
            "k",
            "--as",
            "u",
            "x",
            "",
        ];
        let words = words.map(str::to_owned);
        let line = Line::read(&words);
        assert_eq!(line.cluster.namespace.as_deref(), Some("growth"));
        assert_eq!(line.cluster.context.as_deref(), Some("a"));
        assert_eq!(line.cluster.kubeconfig, Some("k".into()));
        assert_eq!(line.cluster.as_user.as_deref(), Some("u"));
        assert_eq!(line.given, ["x"]);
    }
}
