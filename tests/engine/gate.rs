//! A connection's way to the S3 endpoint, which can be shut: then requests arrive and are not
//! answered.

use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) struct Gate {
    endpoint: String,
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
    task: JoinHandle<()>,
}

impl Gate {
    pub(crate) async fn before(endpoint: &str) -> Self {
        let upstream = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (open, waiting) = (watch::Sender::new(true), watch::Sender::new(0));
        let (opened, waits) = (open.clone(), waiting.clone());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&upstream).await.unwrap();
                tokio::spawn(pass(client, server, opened.subscribe(), waits.clone()));
            }
        });
        Self {
            endpoint,
            open,
            waiting,
            task,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    pub(crate) fn shut(&self) {
        self.waiting.send_replace(0);
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// Since it was shut.
    pub(crate) async fn has_somebody_waiting(&self) {
        let mut waiting = self.waiting.subscribe();
        waiting.wait_for(|waiting| *waiting > 0).await.unwrap();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    mut open: watch::Receiver<bool>,
    waiting: watch::Sender<usize>,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let up = async {
        let mut buffer = vec![0; 1 << 14];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            if !*open.borrow() {
                waiting.send_modify(|waiting| *waiting += 1);
            }
            open.wait_for(|open| *open).await.ok();
            to_server.write_all(&buffer[..read]).await?;
        }
    };
    let down = io::copy(&mut from_server, &mut to_client);
    tokio::try_join!(up, down).map(drop)
}
