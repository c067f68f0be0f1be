//! A connection's way to a server, written down: what was asked, byte for byte.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Passes everything on, and keeps what went towards the server.
pub struct Tee {
    port: u16,
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tee {
    /// In front of `http://127.0.0.1:PORT`.
    pub async fn before(endpoint: &str) -> Self {
        let upstream = endpoint.strip_prefix("http://").expect("http").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&upstream).await.expect("the server");
                let number = {
                    let mut kept = kept.lock().expect("no panic while locked");
                    kept.push(Vec::new());
                    kept.len() - 1
                };
                tokio::spawn(pass_on(client, server, Arc::clone(&kept), number));
            }
        });
        Self { port, asked }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything that was asked so far, of all connections.
    pub fn asked(&self) -> String {
        let asked = self.asked.lock().expect("no panic while locked");
        String::from_utf8_lossy(&asked.concat()).into_owned()
    }

    /// The forms that were posted for this action of AWS's, each as names and values.
    pub fn forms(&self, action: &str) -> Vec<Vec<(String, String)>> {
        let asked = self.asked();
        let mut forms = Vec::new();
        for (at, _) in asked.match_indices(&format!("Action={action}&")) {
            let form = asked[at..].split(['\r', '\n']).next().unwrap_or_default();
            // The next request of the connection begins where the form ends.
            let form = form.split("POST /").next().unwrap_or_default();
            let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
            let decoded = pairs.map(|(name, value)| {
                let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
                (name.to_owned(), value.into_owned())
            });
            forms.push(decoded.collect());
        }
        forms
    }
}

/// A form's value; empty where it has none of that name.
pub fn value<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    let found = form.iter().find(|(known, _)| known == name);
    found.map_or("", |(_, value)| value)
}

async fn pass_on(
    client: TcpStream,
    server: TcpStream,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    number: usize,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = async move {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            kept.lock().expect("no panic while locked")[number].extend(&buffer[..read]);
            if to_server.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
        to_server.shutdown().await.ok();
    };
    let answering = async move {
        tokio::io::copy(&mut from_server, &mut to_client).await.ok();
        to_client.shutdown().await.ok();
    };
    tokio::join!(asking, answering);
}
