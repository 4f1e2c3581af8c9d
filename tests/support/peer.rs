//! A peer that speaks HTTP/2 frame by frame and as badly as it likes. What it is told is read at
//! the same time, so that it knows when it was cut and after how many frames.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::frames::{self, ACK, HEADER, frame};
use super::within;

/// Little enough that what was written and not yet taken by the server is no large part of a flood.
const SEND_BUFFER: u32 = 4 << 10;

/// What a peer was told.
#[derive(Debug, Default, Clone)]
pub struct Heard {
    /// How many frames of each type.
    pub frames: BTreeMap<u8, usize>,
    /// The last stream that the server saw and its reason, by the first GOAWAY that has an error.
    pub cut: Option<(u32, u32)>,
    /// Whether there was any GOAWAY.
    pub goaway: bool,
    /// Whether the connection is at an end.
    pub ended: bool,
}

impl Heard {
    /// Whether the server wants no more of this peer.
    pub fn is_cut(&self) -> bool {
        self.ended || self.goaway
    }

    /// How many frames of this type.
    pub fn count(&self, kind: u8) -> usize {
        self.frames.get(&kind).copied().unwrap_or(0)
    }
}

/// What a peer does with the questions that it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// It acknowledges settings and answers pings, with the next frames that it sends.
    Polite,
    /// It reads, and says nothing by itself.
    Deaf,
}

/// A connection.
#[derive(Debug)]
pub struct Peer {
    /// How many frames it wrote.
    pub written: usize,
    writer: OwnedWriteHalf,
    /// Frames that it owes the server.
    owed: Arc<Mutex<Vec<u8>>>,
    heard: watch::Receiver<Heard>,
    reading: JoinHandle<()>,
}

impl Peer {
    /// Says hello with these settings, and waits until the server has said its own.
    pub async fn open(address: SocketAddr, manners: Manners, settings: &[(u16, u32)]) -> Self {
        let mut peer = Self::over(connect(address).await, manners);
        let mut hello = frames::PREFACE.to_vec();
        hello.extend(frames::settings(settings));
        // A server that has had enough closes at once: whoever looks sees it.
        let _ = peer.writer.write_all(&hello).await;
        peer.written += 1;
        let told = |heard: &Heard| heard.ended || heard.count(frames::SETTINGS) > 0;
        peer.until("settings", told).await;
        peer
    }

    /// One that has said nothing yet.
    pub async fn silent(address: SocketAddr) -> Self {
        Self::over(connect(address).await, Manners::Deaf)
    }

    fn over(stream: TcpStream, manners: Manners) -> Self {
        let (reader, writer) = stream.into_split();
        let (telling, heard) = watch::channel(Heard::default());
        let owed = Arc::default();
        let owing = (manners == Manners::Polite).then(|| Arc::clone(&owed));
        Self {
            written: 0,
            writer,
            owed,
            heard,
            reading: tokio::spawn(read(reader, telling, owing)),
        }
    }

    /// Writes bytes that are no whole frame, or are not to be counted.
    pub async fn say(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.writer.write_all(bytes).await
    }

    /// Writes whole frames. False where the server wants no more of them.
    pub async fn send(&mut self, frames: &[u8]) -> bool {
        if self.heard.borrow().is_cut() {
            return false;
        }
        let mut heard = self.heard.clone();
        let written = tokio::select! {
            written = self.insist(frames) => written.is_ok(),
            _ = heard.wait_for(Heard::is_cut) => false,
        };
        written && !self.heard.borrow().is_cut()
    }

    /// Writes whole frames, whatever the server wants.
    pub async fn insist(&mut self, frames: &[u8]) -> std::io::Result<()> {
        let mut bytes = std::mem::take(&mut *self.owed.lock().unwrap());
        bytes.extend_from_slice(frames);
        // Counted as written where it is only begun: rather too many than too few.
        self.written += frames::count(&bytes);
        self.writer.write_all(&bytes).await
    }

    /// What it was told until now.
    pub fn heard(&self) -> Heard {
        self.heard.borrow().clone()
    }

    /// Waits until it has been told something.
    pub async fn until(&self, what: &str, told: impl FnMut(&Heard) -> bool) -> Heard {
        let mut heard = self.heard.clone();
        within(what, heard.wait_for(told)).await.unwrap().clone()
    }

    /// Waits `longest` at most until the connection is at an end, and says whether it is.
    pub async fn ends_within(&self, longest: Duration) -> bool {
        let mut heard = self.heard.clone();
        let ended = heard.wait_for(|heard| heard.ended);
        tokio::time::timeout(longest, ended).await.is_ok()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(SEND_BUFFER).unwrap();
    let stream = within("a connection", socket.connect(address))
        .await
        .unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Reads frames until there are no more, and tells of each. What asks for an answer goes to what is
/// `owed`.
async fn read(
    mut reader: OwnedReadHalf,
    heard: watch::Sender<Heard>,
    owed: Option<Arc<Mutex<Vec<u8>>>>,
) {
    while let Some((kind, flags, payload)) = next(&mut reader).await {
        if let Some(owed) = &owed
            && [frames::SETTINGS, frames::PING].contains(&kind)
            && flags & ACK == 0
        {
            let echo = if kind == frames::PING {
                &payload[..]
            } else {
                &[]
            };
            owed.lock().unwrap().extend(frame(kind, ACK, 0, echo));
        }
        heard.send_modify(|heard| {
            *heard.frames.entry(kind).or_default() += 1;
            if kind == frames::GOAWAY {
                heard.goaway = true;
                let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
                let (last, reason) = (word(0), word(4));
                if reason != 0 && heard.cut.is_none() {
                    heard.cut = Some((last, reason));
                }
            }
        });
    }
    heard.send_modify(|heard| heard.ended = true);
}

async fn next(reader: &mut OwnedReadHalf) -> Option<(u8, u8, Vec<u8>)> {
    let mut header = [0; HEADER];
    reader.read_exact(&mut header).await.ok()?;
    let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
    let mut payload = vec![0; length as usize];
    reader.read_exact(&mut payload).await.ok()?;
    Some((header[3], header[4], payload))
}
