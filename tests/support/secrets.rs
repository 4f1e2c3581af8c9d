//! Looks for secrets in whatever a program says.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A secret, in every shape in which it may come out.
#[derive(Debug)]
struct Secret {
    shapes: Vec<(&'static str, String)>,
}

/// What is listened to, for these secrets alone.
#[derive(Debug)]
pub struct Listener {
    secrets: Vec<Secret>,
    heard: usize,
    leaks: Vec<String>,
}

impl Listener {
    /// One for secrets, each long and unlike anything that is said by chance.
    pub fn of(secrets: &[&str]) -> Self {
        Self {
            secrets: secrets.iter().map(|text| Secret::new(text)).collect(),
            heard: 0,
            leaks: Vec::new(),
        }
    }

    /// Listens to `said`; `where_` is for the message.
    pub fn hear(&mut self, where_: &str, said: impl AsRef<[u8]>) {
        let said = said.as_ref();
        self.heard += said.len();
        let text = String::from_utf8_lossy(said).to_lowercase();
        for secret in &self.secrets {
            for (shape, secret) in &secret.shapes {
                if let Some(at) = text.find(secret) {
                    let from = text.floor_char_boundary(at.saturating_sub(60));
                    let to = text.ceil_char_boundary(at + secret.len());
                    self.leaks.push(format!(
                        "{where_}, {shape}: …{}",
                        text.get(from..to).unwrap()
                    ));
                }
            }
        }
    }

    /// How many bytes were listened to, none of which was a secret's.
    ///
    /// # Panics
    /// Where a secret came out.
    pub fn finish(self) -> usize {
        assert!(self.leaks.is_empty(), "{}", self.leaks.join("\n"));
        assert!(self.heard > 0, "nothing was said");
        self.heard
    }
}

impl Secret {
    fn new(text: &str) -> Self {
        assert!(text.len() >= 8, "`{text}` may come out by chance");
        let bytes = text.as_bytes();
        let (mut hex, mut percent) = (String::new(), String::new());
        for byte in bytes {
            write!(hex, "{byte:02x}").unwrap();
            match byte.is_ascii_alphanumeric() {
                true => percent.push(char::from(*byte)),
                false => write!(percent, "%{byte:02x}").unwrap(),
            }
        }
        let list = format!("{bytes:?}");
        let half = text.floor_char_boundary(text.len() / 2);
        let (first, second) = text.split_at(half);
        let shapes = [
            ("as it is", text.to_owned()),
            ("its first half", first.to_owned()),
            ("its second half", second.to_owned()),
            ("escaped", text.escape_debug().to_string()),
            ("percent-encoded", percent),
            ("in base64", STANDARD_NO_PAD.encode(bytes)),
            ("in base64 of URLs", URL_SAFE_NO_PAD.encode(bytes)),
            ("in hex", hex),
            (
                "as a list of bytes",
                list.trim_matches(['[', ']']).to_owned(),
            ),
        ];
        Self {
            shapes: shapes
                .map(|(shape, text)| (shape, text.to_lowercase()))
                .to_vec(),
        }
    }
}

#[test]
fn a_secret_is_found_in_every_shape() {
    let secret = "Tr0ub4dor&/3 é";
    for said in [
        "password Tr0ub4dor&/3 é!".to_owned(),
        "TR0UB4D only".to_owned(),
        "u:Tr0ub4dor%26%2F3%20%C3%A9@h".to_owned(),
        STANDARD_NO_PAD.encode(secret),
        format!("{:?}", secret.as_bytes()),
    ] {
        let mut listener = Listener::of(&[secret]);
        listener.hear("here", &said);
        assert!(!listener.leaks.is_empty(), "{said}");
    }
    let mut listener = Listener::of(&[secret]);
    listener.hear("here", "postgres://u:…@h/db");
    assert_eq!(listener.finish(), "postgres://u:…@h/db".len());
}
