//! A wire to the API server that can be cut: what is sent then never arrives, and nobody is told.

use std::net::Ipv4Addr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

pub struct Wire {
    port: u16,
    cut: CancellationToken,
    end: CancellationToken,
}

impl Wire {
    /// Before `https://127.0.0.1:PORT`.
    pub async fn before(server: &str) -> Self {
        let (_, port) = server.rsplit_once(':').unwrap();
        let server: u16 = port.parse().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cut, end) = (CancellationToken::new(), CancellationToken::new());
        let wire = Self {
            port,
            cut: cut.clone(),
            end: end.clone(),
        };
        tokio::spawn(end.clone().run_until_cancelled_owned(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (cut, end) = (cut.clone(), end.clone());
                tokio::spawn(end.run_until_cancelled_owned(carry(client, server, cut)));
            }
        }));
        wire
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn cut(&self) {
        self.cut.cancel();
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

async fn carry(client: TcpStream, server: u16, cut: CancellationToken) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::select! {
        () = pass(&mut from_client, &mut to_server, &cut) => {}
        () = pass(&mut from_server, &mut to_client, &cut) => {}
    }
}

async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    cut: &CancellationToken,
) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if cut.is_cancelled() {
            // Both sides stay open, and hear nothing.
            std::future::pending::<()>().await;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
