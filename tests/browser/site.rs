//! The server that the tests look at: `sumsq local` over the quickstart, a second data source that
//! shares an agent and names another one badly, and one whose object is not there.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use tokio::sync::OnceCell;

use crate::browser::DEADLINE;
use crate::support::process::{Server, ServerCommand, free_port, temporary_folder};

/// A code that breaks whatever does not encode and escape.
pub const HOSTILE: &str = "a/b \"c\" <é>";
pub const HOSTILE_PATH: &str = "/namespaces/default/agents/a%2Fb%20%22c%22%20%3C%C3%A9%3E";

pub const BETTER: &str = "/namespaces/default/agents/recommendations";
pub const UNDECIDED: &str = "/namespaces/default/agents/checkout-button";
pub const ALARMED: &str = "/namespaces/default/agents/free-shipping-banner";
pub const SOURCE: &str = "/namespaces/default/data-sources/shop-conversions";
pub const TILL: &str = "/namespaces/default/data-sources/till";
pub const FAILING: &str = "/namespaces/default/data-sources/vault";

#[derive(Debug)]
pub struct Site {
    pub base: String,
    pub folder: PathBuf,
    server: Server,
}

impl Site {
    /// The one of this test process.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Site> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                let folder = temporary_folder("pages");
                fill(&folder);
                let site = Self::start(folder).await;
                for path in [BETTER, HOSTILE_PATH] {
                    site.answers(path).await;
                }
                site.fetched(FAILING).await;
                site
            })
            .await
    }

    /// `sumsq local` over a folder.
    pub async fn start(folder: PathBuf) -> Self {
        let port = free_port();
        let server = ServerCommand::new("sumsq", env!("CARGO_BIN_EXE_sumsq"))
            .args(["local", "."])
            .arg("--listen")
            .arg(format!("127.0.0.1:{port}"))
            .removes(&folder)
            .start(&folder);
        let base = format!("http://127.0.0.1:{port}");
        let site = Self {
            base,
            folder,
            server,
        };
        let ready = site.at("/api/v1/data-sources");
        site.server
            .ready(DEADLINE, async || get(&ready).is_ok())
            .await;
        site
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// `sumsq report`, as it runs beside the operator, over the same store.
    pub async fn beside_an_operator(&self) -> Self {
        let folder = temporary_folder("report");
        let store = fs::read_dir(self.folder.join(".sumsq"))
            .expect("the store's folder")
            .map(|entry| entry.expect("an entry").path())
            .find(|path| path.extension().is_some_and(|extension| extension == "db"))
            .expect("a store");
        let port = free_port();
        let server = ServerCommand::new("sumsq", env!("CARGO_BIN_EXE_sumsq"))
            .args(["report", "--store"])
            .arg(format!("sqlite:{}", store.display()))
            .arg("--listen")
            .arg(format!("127.0.0.1:{port}"))
            .removes(&folder)
            .start(&folder);
        let site = Self {
            base: format!("http://127.0.0.1:{port}"),
            folder,
            server,
        };
        site.answers(SOURCE).await;
        site
    }

    async fn answers(&self, path: &str) {
        let address = self.at(path);
        let server = &self.server;
        server.ready(DEADLINE, async || get(&address).is_ok()).await;
    }

    /// Until the data source has been fetched, however that went.
    async fn fetched(&self, path: &str) {
        let address = self.at(&format!("/api/v1{path}/fetches"));
        let server = &self.server;
        server
            .ready(DEADLINE, async || {
                get(&address).is_ok_and(|body| body.contains("\"result\":\"Error\""))
            })
            .await;
    }
}

/// No proxy of the environment's stands before this machine's own servers.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().proxy(None).build().into()
}

/// The body; an error where the status is one.
pub fn get(address: &str) -> Result<String, ureq::Error> {
    agent().get(address).call()?.body_mut().read_to_string()
}

pub fn post(address: &str) {
    agent().post(address).send_empty().expect("it is taken");
}

pub fn fill(folder: &Path) {
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    let object = "buckets/shop-experiment-counts/exports/shop-conversions.csv";
    let copy = |name: &str| {
        let to = folder.join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(quickstart.join(name), to).unwrap();
    };
    copy("shop-conversions.yaml");
    copy(object);
    fs::write(folder.join("till.yaml"), manifest("till", "Till receipts")).unwrap();
    fs::write(folder.join("vault.yaml"), manifest("vault", "Vault")).unwrap();
    let bucket = folder.join("buckets/till");
    fs::create_dir_all(&bucket).unwrap();
    fs::write(bucket.join("counts.csv"), counts()).unwrap();
    fs::create_dir_all(folder.join("buckets/vault")).unwrap();
}

fn manifest(name: &str, display_name: &str) -> String {
    format!(
        "apiVersion: sumsq.dev/v1alpha1
kind: DataSource
metadata: {{name: {name}}}
spec:
  displayName: {display_name}
  goals:
    - {{code: purchase, displayName: Purchase}}
    - {{code: returns, displayName: Returns, goodDirection: Decrease}}
  source:
    s3:
      region: eu-central-1
      bucket: {name}
      key: counts.csv
      accountId: \"123456789012\"
  timeZone: Europe/Berlin
"
    )
}

/// Three agents, of which the quickstart has one and one is called as a folder; two policies, traits that need escaping or are
/// many, eight days; a column too many, which is a warning.
fn counts() -> String {
    let mut csv = "Date,Agent,Variation,Policy,Trait_Group,Trait_Value,Sels,purchase,\
                   purchase_sumsq,returns,returns_sumsq,Cashier\n"
        .to_owned();
    for (variation, purchases) in [("A", 40), ("B", 50)] {
        writeln!(
            csv,
            "1767571200,..,{variation},r,,,400,{purchases},{purchases},9,9,"
        )
        .unwrap();
    }
    let hostile = HOSTILE.replace('"', "\"\"");
    for day in 0..8 {
        let date = 1_767_571_200 + day * 86_400;
        for agent in ["checkout-button", hostile.as_str()] {
            for (variation, more) in [("A", 0), ("B", 9)] {
                for (policy, visitors) in [("r", 400), ("f", 40)] {
                    let purchases = visitors / 8 + more + day % 3;
                    let returns = visitors / 40 + day % 2;
                    let mut row = |group: &str, value: &str, share: i64| {
                        writeln!(
                            csv,
                            "{date},\"{agent}\",{variation},{policy},{group},\"{value}\",{},{p},{p},{r},{r},",
                            visitors / share,
                            p = purchases / share,
                            r = returns / share,
                        )
                        .unwrap();
                    };
                    row("", "", 1);
                    row("area", "<north> & \"\"west\"\"", 2);
                    row("area", "south/50%", 2);
                    if agent == hostile {
                        for hour in 0..8 {
                            row("hour", &format!("{:02}:00", hour * 3), 8);
                        }
                    }
                }
            }
        }
    }
    csv
}
