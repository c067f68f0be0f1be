//! A Pod as the API server has it, run on the host: command, arguments, environment, volumes and user
//! as it says, in a root of its own that is read-only. There is no kubelet, so that what only a
//! container runtime does is not shown: the image, seccomp, cgroups, and a network of its own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use serde_json::Value;

use crate::PATIENCE;
use crate::helm::entry;
use crate::support::kubernetes::Cluster;
use crate::support::postgres::is_root;
use crate::support::process::{Server, ServerCommand, free_port, temporary_folder, wait_for};

/// The user and the group of the chart's Pods.
const USER: u32 = 65_532;

/// What the tests' own binary is linked to; the released one is to nothing.
const LIBRARIES: &str = "/usr/lib /usr/lib64 /lib /lib64";

/// Makes a root of the binary and the libraries it is linked to, mounts the volumes, and closes it.
/// `$1` is the root, `$2` the binary, `$3` how the user is changed, `$4` the libraries' folders; then a
/// source, a target and ro or rw for each volume, and after `--` the environment and the command.
const ROOT: &str = r#"
set -e
root=$1; binary=$2; user=$3; libraries=$4; shift 4
mount -t tmpfs -o mode=0755 image "$root"
bind() {
    mount --bind "$1" "$root$2"
    [ "$3" = rw ] || mount -o remount,bind,ro "$root$2"
}
for folder in $libraries; do
    if [ -L "$folder" ]; then cp -P "$folder" "$root$folder"
    elif [ -d "$folder" ]; then mkdir -p "$root$folder"; bind "$folder" "$folder" ro
    fi
done
mkdir -p "$root/etc" "$root/dev" "$root/proc"
for file in /etc/hosts /dev/full /dev/null /dev/random /dev/urandom /dev/zero; do touch "$root$file"; bind "$file" "$file" rw; done
mount --rbind /proc "$root/proc"
touch "$root/sumsq"; bind "$binary" /sumsq ro
while [ "$1" != -- ]; do
    mkdir -p "$root$2"; bind "$1" "$2" "$3"; shift 3
done
shift
mount -o remount,bind,ro "$root"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
"#;

pub struct Pod<'c> {
    cluster: &'c Cluster,
    object: Value,
    folder: PathBuf,
    volumes: BTreeMap<String, PathBuf>,
}

impl<'c> Pod<'c> {
    /// The one Pod with this name in its labels, with its volumes filled.
    pub async fn of(cluster: &'c Cluster, namespace: &str, name: &str) -> Self {
        let label = format!("app.kubernetes.io/name={name}");
        let args = ["-n", namespace, "get", "pods", "-l", &label, "-o", "json"];
        let object = wait_for(&format!("a Pod of {name}"), PATIENCE, async || {
            let list = cluster.kubectl(&args).await.expect_success();
            let list: Value = serde_json::from_str(&list).unwrap();
            list["items"].get(0).cloned()
        })
        .await;
        let mut pod = Self {
            cluster,
            object,
            folder: temporary_folder("pod"),
            volumes: BTreeMap::new(),
        };
        open_to(&pod.folder, 0o755);
        for volume in pod.object["spec"]["volumes"].as_array().unwrap() {
            let name = volume["name"].as_str().unwrap();
            // A claim's volume is there for the next Pod, too.
            let claim = volume["persistentVolumeClaim"]["claimName"].as_str();
            let folder = match claim {
                Some(claim) => cluster.folder().join("claims").join(namespace).join(claim),
                None => pod.folder.join(name),
            };
            fs::create_dir_all(&folder).unwrap();
            pod.fill(volume, &folder).await;
            pod.volumes.insert(name.to_owned(), folder);
        }
        pod
    }

    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap()
    }

    fn namespace(&self) -> &str {
        self.object["metadata"]["namespace"].as_str().unwrap()
    }

    /// What a container sees of a volume under this name.
    pub fn volume(&self, name: &str) -> &Path {
        &self.volumes[name]
    }

    async fn fill(&self, volume: &Value, folder: &Path) {
        if !volume["emptyDir"].is_null() || !volume["persistentVolumeClaim"].is_null() {
            // As the kubelet does with fsGroup: the group may write.
            return open_to(folder, 0o2775);
        }
        open_to(folder, 0o755);
        if let Some(secret) = volume["secret"]["secretName"].as_str() {
            let items = volume["secret"]["items"].as_array().cloned();
            let keys = items.unwrap_or_default();
            let wanted: Vec<_> = keys
                .iter()
                .map(|item| item["key"].as_str().unwrap())
                .collect();
            let data = self.secret(secret, &wanted).await;
            for (key, bytes) in data {
                let item = keys.iter().find(|item| item["key"] == *key);
                let path = item.map_or(key.as_str(), |item| item["path"].as_str().unwrap());
                if item.is_some() || keys.is_empty() {
                    fs::write(folder.join(path), bytes).unwrap();
                }
            }
            return;
        }
        let sources = volume["projected"]["sources"].as_array();
        for source in sources.unwrap_or_else(|| panic!("no such volume here: {volume}")) {
            if let Some(path) = source["serviceAccountToken"]["path"].as_str() {
                let account = self.object["spec"]["serviceAccountName"].as_str().unwrap();
                let args = ["-n", self.namespace(), "create", "token", account];
                let token = self.cluster.kubectl(&args).await.expect_success();
                fs::write(folder.join(path), token.trim()).unwrap();
            } else if !source["configMap"].is_null() {
                let authority = self.cluster.folder().join("ca.crt");
                fs::copy(authority, folder.join("ca.crt")).unwrap();
            } else {
                let path = source["downwardAPI"]["items"][0]["path"].as_str().unwrap();
                fs::write(folder.join(path), self.namespace()).unwrap();
            }
        }
    }

    /// A Secret's data, once it has these keys.
    async fn secret(&self, name: &str, keys: &[&str]) -> BTreeMap<String, Vec<u8>> {
        let args = ["-n", self.namespace(), "get", "secret", name, "-o", "json"];
        wait_for(&format!("Secret {name}"), PATIENCE, async || {
            let secret = self.cluster.kubectl(&args).await;
            let secret = secret.status.success().then_some(secret.stdout)?;
            let secret: Value = serde_json::from_str(&secret).unwrap();
            let data = secret["data"].as_object()?;
            if !keys.iter().all(|key| data.contains_key(*key)) {
                return None;
            }
            let decode = |text: &Value| {
                let engine = base64::engine::general_purpose::STANDARD;
                engine.decode(text.as_str().unwrap()).unwrap()
            };
            let pairs = data.iter().map(|(key, text)| (key.clone(), decode(text)));
            Some(pairs.collect())
        })
        .await
    }

    async fn variable(&self, variable: &Value) -> String {
        if let Some(value) = variable["value"].as_str() {
            return value.to_owned();
        }
        let from = &variable["valueFrom"];
        match from["fieldRef"]["fieldPath"].as_str() {
            Some("metadata.name") => self.object["metadata"]["name"].as_str().unwrap().to_owned(),
            Some("metadata.namespace") => self.namespace().to_owned(),
            Some(other) => panic!("no field {other} here"),
            None => {
                let key = &from["secretKeyRef"];
                let (name, key) = (key["name"].as_str().unwrap(), key["key"].as_str().unwrap());
                let data = self.secret(name, &[key]).await;
                String::from_utf8(data[key].clone()).unwrap()
            }
        }
    }

    /// Starts a container. Its ports are others than it says, as it shares the host's network.
    pub async fn start(&self, name: &'static str) -> Running {
        let binary = Path::new(env!("CARGO_BIN_EXE_sumsq"));
        self.start_program(name, binary, LIBRARIES).await
    }

    /// The same with another binary, and the folders of libraries that it needs: a static one none.
    pub async fn start_program(
        &self,
        name: &'static str,
        binary: &Path,
        libraries: &str,
    ) -> Running {
        let container = entry(&self.object["spec"]["containers"], "name", name).clone();
        self.is_restricted(&container);
        let mut ports = BTreeMap::new();
        // Those that nobody else reaches are not listed.
        for port in [8080, 8081, 8082] {
            ports.insert(port, free_port());
        }
        let root = self.folder.join(format!("{name}.root"));
        fs::create_dir(&root).unwrap();
        let change = if is_root() {
            format!("--setgid={USER} --setuid={USER}")
        } else {
            format!("--user --map-user={USER} --map-group={USER}")
        };
        let own: &[&str] = if is_root() {
            &["--mount"]
        } else {
            &["--mount", "--map-root-user"]
        };
        let mut server = ServerCommand::new(name, "unshare")
            .args(own)
            .args(["sh", "-c", ROOT, "sh"])
            .arg(&root)
            .arg(binary)
            .args([&change, libraries]);
        for mount in container["volumeMounts"].as_array().unwrap() {
            let text = |field: &str| mount[field].as_str().unwrap();
            let access = if mount["readOnly"] == true {
                "ro"
            } else {
                "rw"
            };
            server = server
                .arg(self.volume(text("name")))
                .args([text("mountPath"), access]);
        }
        let address = self.cluster.server_url();
        let api_port = address.rsplit_once(':').unwrap().1;
        server = server
            .args(["--", "KUBERNETES_SERVICE_HOST=127.0.0.1"])
            .arg(format!("KUBERNETES_SERVICE_PORT={api_port}"));
        for variable in container["env"].as_array().unwrap() {
            let mut value = self.variable(variable).await;
            let name = variable["name"].as_str().unwrap();
            if let Some((host, port)) = value.rsplit_once(':').filter(|_| name.ends_with("LISTEN"))
            {
                let port: u16 = port.parse().unwrap();
                value = format!("{host}:{}", ports[&port]);
            }
            server = server.arg(format!("{name}={value}"));
        }
        server = server
            .args(["setpriv", "--no-new-privs", "unshare", "--wd=/"])
            .arg(format!("--root={}", root.display()))
            .args(change.split(' '))
            .arg("/sumsq");
        for argument in container["args"].as_array().unwrap() {
            server = server.arg(argument.as_str().unwrap());
        }
        Running {
            server: server.start(&self.folder),
            container,
            ports,
        }
    }

    /// What is done here is what the Pod asks for.
    fn is_restricted(&self, container: &Value) {
        let pod = &self.object["spec"]["securityContext"];
        assert_eq!(
            (&pod["runAsUser"], &pod["runAsGroup"]),
            (&USER.into(), &USER.into())
        );
        assert_eq!(pod["fsGroup"], USER);
        let own = &container["securityContext"];
        assert_eq!(own["readOnlyRootFilesystem"], true);
        assert_eq!(own["allowPrivilegeEscalation"], false);
        assert_eq!(own["capabilities"], serde_json::json!({"drop": ["ALL"]}));
        assert!(container["command"].is_null() && container["envFrom"].is_null());
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Owned by root, where this is root, and by the Pod's group.
fn open_to(folder: &Path, mode: u32) {
    if is_root() {
        chown(folder, Some(0), Some(USER)).unwrap();
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
}

/// A container that runs.
pub struct Running {
    server: Server,
    container: Value,
    ports: BTreeMap<u16, u16>,
}

impl Running {
    /// Where what it calls this port is on the host.
    pub fn port(&self, port: u16) -> u16 {
        self.ports[&port]
    }

    /// Waits until its readiness probe succeeds, asked as the kubelet asks.
    pub async fn is_ready(&self) {
        self.server
            .ready(PATIENCE, async || {
                self.probe("readinessProbe").await == Some(200)
            })
            .await;
    }

    /// The answer to a probe.
    pub async fn probe(&self, probe: &str) -> Option<u16> {
        let probe = &self.container[probe]["httpGet"];
        let port = probe["port"].as_str().unwrap();
        let port = &entry(&self.container["ports"], "name", port)["containerPort"];
        let port = u16::try_from(port.as_u64().unwrap()).unwrap();
        let asked = self.get(port, probe["path"].as_str().unwrap(), None).await;
        asked.map(|(status, _)| status)
    }

    /// Status and body, asked with a bearer token where there is one.
    pub async fn get(&self, port: u16, path: &str, token: Option<&str>) -> Option<(u16, String)> {
        let url = format!("http://127.0.0.1:{}{path}", self.port(port));
        get(url, token).await
    }

    /// The container's first process, on the host.
    pub fn process(&self) -> String {
        self.server.process()
    }

    pub fn log_path(&self) -> &Path {
        self.server.log_path()
    }

    /// A line of `/proc/PID/status`.
    pub fn status(&self, field: &str) -> String {
        let path = format!("/proc/{}/status", self.server.process());
        let status = fs::read_to_string(path).unwrap();
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Its root, as it sees it.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.server.process()))
    }

    /// Ends it as the kubelet does; its exit code.
    pub async fn terminate(self) -> Option<i32> {
        self.server.signal("TERM");
        self.server.ended(Duration::from_secs(30)).await.code()
    }
}

pub async fn get(url: String, token: Option<&str>) -> Option<(u16, String)> {
    let authorization = token.map(|token| format!("Bearer {token}"));
    let asked = tokio::task::spawn_blocking(move || {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .new_agent();
        let request = agent.get(&url);
        let mut answer = match authorization {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        }
        .call()
        .ok()?;
        let body = answer.body_mut().read_to_string().ok()?;
        Some((answer.status().as_u16(), body))
    });
    asked.await.unwrap()
}
