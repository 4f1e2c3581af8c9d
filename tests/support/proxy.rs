//! A TCP proxy between a server and its Postgres, by which a test breaks the network of the one
//! without touching the other.
//!
//! A network that swallows everything is harder here than a cable that is pulled: the kernel goes
//! on acknowledging what nobody reads, so that no TCP timeout helps whoever waits.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the network does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Network {
    /// Everything passes.
    #[default]
    Passes,
    /// A connection that is made is closed at once.
    Refuses,
    /// Nothing moves either way and nothing is closed, on connections of before too.
    Swallows,
    /// The same for those connections alone that had said LISTEN when this began. New ones pass.
    SwallowsListeners,
    /// What goes to the server takes so much longer.
    Delays(Duration),
}

/// One that is made passes everything.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    end: CancellationToken,
}

#[derive(Debug)]
struct State {
    server: SocketAddr,
    network: watch::Sender<Network>,
    /// Cancelled to close what is open, and replaced then.
    open: Mutex<CancellationToken>,
    /// The ports by which the server knows the connections that said LISTEN, in that order.
    listeners: watch::Sender<Vec<u16>>,
    /// Those of them that are swallowed.
    swallowed: Mutex<Vec<u16>>,
}

impl Proxy {
    /// One to a server on this machine's `port`.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let state = Arc::new(State {
            server: (Ipv4Addr::LOCALHOST, port).into(),
            network: watch::Sender::default(),
            open: Mutex::default(),
            listeners: watch::Sender::default(),
            swallowed: Mutex::default(),
        });
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::clone(&state),
            end: CancellationToken::new(),
        };
        tokio::spawn(proxy.end.clone().run_until_cancelled_owned(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(client, Arc::clone(&state)));
            }
        }));
        proxy
    }

    /// The port that it is reached at.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on the network does this.
    pub fn set(&self, network: Network) {
        let swallowed = match network == Network::SwallowsListeners {
            true => self.listeners(),
            false => Vec::new(),
        };
        *self.state.swallowed.lock().unwrap() = swallowed;
        self.state.network.send_replace(network);
    }

    /// Closes every connection.
    pub fn cut(&self) {
        let mut open = self.state.open.lock().unwrap();
        std::mem::take(&mut *open).cancel();
    }

    /// The ports by which the server knows the connections that ever said LISTEN, in that order.
    pub fn listeners(&self) -> Vec<u16> {
        self.state.listeners.borrow().clone()
    }

    /// Waits until so many connections have said LISTEN since the proxy was started.
    pub async fn until_listeners(&self, count: usize) {
        let mut listeners = self.state.listeners.subscribe();
        listeners
            .wait_for(|ports| ports.len() >= count)
            .await
            .unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end.cancel();
        self.cut();
    }
}

async fn serve(client: TcpStream, state: Arc<State>) {
    let cut = state.open.lock().unwrap().clone();
    if *state.network.borrow() == Network::Refuses {
        return;
    }
    let pass = async {
        // A network that swallows everything lets nobody through to the server either.
        let mut network = state.network.subscribe();
        let _ = network
            .wait_for(|network| *network != Network::Swallows)
            .await;
        // That the server is not there is told by closing.
        let Ok(server) = TcpStream::connect(state.server).await else {
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let port = server.local_addr().unwrap().port();
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        // Neither end goes on when the other has closed its way: what is left of the connection would
        // stay for as long as a server hangs.
        tokio::select! {
            () = pump(from_client, to_server, &state, port, true) => {}
            () = pump(from_server, to_client, &state, port, false) => {}
        }
    };
    cut.run_until_cancelled(pass).await;
}

/// Passes on one way of a connection, which the server knows by `port`, until it ends.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &State,
    port: u16,
    is_to_server: bool,
) {
    let mut network = state.network.subscribe();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let length = from.read(&mut buffer).await.unwrap_or_default();
        // An end is swallowed like everything else.
        let passes = network.wait_for(|network| !state.swallows(*network, port));
        let Ok(now) = passes.await.map(|now| *now) else {
            return;
        };
        let read = &buffer[..length];
        if is_to_server {
            state.look_for_listen(read, port);
            if let Network::Delays(delay) = now {
                tokio::time::sleep(delay).await;
            }
        }
        let failed = to.write_all(read).await.is_err();
        if length == 0 || failed {
            let _ = to.shutdown().await;
            return;
        }
    }
}

impl State {
    /// Whether nothing moves on this connection.
    fn swallows(&self, network: Network, port: u16) -> bool {
        match network {
            Network::Swallows => true,
            Network::SwallowsListeners => self.swallowed.lock().unwrap().contains(&port),
            Network::Passes | Network::Refuses | Network::Delays(_) => false,
        }
    }

    /// A statement this short comes in one piece.
    fn look_for_listen(&self, read: &[u8], port: u16) {
        let says = |word: &[u8]| read.windows(word.len()).any(|found| found == word);
        if says(b"LISTEN ") || says(b"listen ") {
            self.listeners.send_if_modified(|ports| {
                let is_new = !ports.contains(&port);
                ports.extend(is_new.then_some(port));
                is_new
            });
        }
    }
}
