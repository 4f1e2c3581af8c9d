//! A server of keys, which does what a test says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::authority::Identity;

/// What the server answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// This set, with this `ETag` where there is one; 304 to whoever has it.
    Keys {
        body: String,
        etag: Option<&'static str>,
    },
    /// This status, and these lines of the head besides.
    Status(u16, &'static str),
    /// Nothing, for as long as the caller waits.
    Silence,
}

/// A server of keys on loopback, on a thread of its own.
pub struct JwksServer {
    /// `http://…` or `https://…`.
    pub url: http::Uri,
    answer: Arc<Mutex<Answer>>,
    heads: Arc<Mutex<Vec<String>>>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl JwksServer {
    /// One without TLS.
    pub fn plain(answer: Answer) -> Self {
        Self::start(answer, None)
    }

    /// One with TLS, whose certificate has to be for `localhost`.
    pub fn tls(answer: Answer, identity: &Identity) -> Self {
        let certificate = CertificateDer::from_pem_slice(identity.cert.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let provider = rustls::crypto::ring::default_provider();
        let config = ServerConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self::start(answer, Some(config.into()))
    }

    fn start(answer: Answer, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let answer = Arc::new(Mutex::new(answer));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let end = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (answer, heads, end) = (answer.clone(), heads.clone(), end.clone());
            move || {
                // Whoever is met with silence keeps its connection.
                let mut silent = Vec::new();
                for stream in listener.incoming() {
                    if end.load(Ordering::Relaxed) {
                        break;
                    }
                    let stream = stream.unwrap();
                    let kept = stream.try_clone().unwrap();
                    // A caller that hangs up in the handshake is of no matter here.
                    let kind = match &tls {
                        None => serve(stream, &answer, &heads),
                        Some(config) => {
                            let session = ServerConnection::new(config.clone()).unwrap();
                            serve(StreamOwned::new(session, stream), &answer, &heads)
                        }
                    };
                    if matches!(kind, Ok(Kind::Silent)) {
                        silent.push(kept);
                    }
                }
            }
        });
        Self {
            url: format!("{scheme}://localhost:{port}/keys").parse().unwrap(),
            answer,
            heads,
            end,
            thread: Some(thread),
        }
    }

    /// Answers otherwise from now on.
    pub fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// The heads of the requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for JwksServer {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        let _woken = TcpStream::connect(("127.0.0.1", self.url.port_u16().unwrap()));
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

enum Kind {
    Answered,
    Silent,
}

fn serve(
    mut stream: impl Read + Write,
    answer: &Mutex<Answer>,
    heads: &Mutex<Vec<String>>,
) -> std::io::Result<Kind> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(Kind::Answered);
        }
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    heads.lock().unwrap().push(head.clone());
    let answer = answer.lock().unwrap().clone();
    let (status, lines, body) = match answer {
        Answer::Silence => return Ok(Kind::Silent),
        Answer::Status(status, lines) => (status, lines.to_owned(), String::new()),
        Answer::Keys {
            etag: Some(etag), ..
        } if head.contains(&format!("if-none-match: {etag}")) => {
            (304, String::new(), String::new())
        }
        Answer::Keys { body, etag } => {
            let line = etag.map(|etag| format!("etag: {etag}\r\n"));
            (200, line.unwrap_or_default(), body)
        }
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} Said\r\n{lines}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )?;
    stream.flush()?;
    Ok(Kind::Answered)
}
