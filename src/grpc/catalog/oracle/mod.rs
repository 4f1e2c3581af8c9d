//! FilterCatalog beside an ordinary one: decode with prost, filter location by location, encode with
//! prost. Whatever is asked, both say the same, byte by byte.

mod damage;
mod ordinary;
mod sent;
mod stored;

use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use prost::Message as _;
use tokio::runtime::Runtime;
use tonic::{Code, Request, Status};

use crate::authorizer::Authorizer;
use crate::datafile;
use crate::directory::{Directory, DirectoryConfig};
use crate::domain::{FeatureMatrix, Location};
use crate::grpc::AuthorizationApi;
use crate::proto::v1::authorization_service_server::AuthorizationService as _;
use crate::store::memory::MemoryStore;
use crate::store::{Line, Store as _};

use super::CatalogRequest;

/// Accounts of every kind: with prices and without, with markets and without, with an alias, and one
/// that may not order.
const ACCOUNTS: [&str; 8] = [
    "direct", "partner", "priced", "plain", "nowhere", "idle", "nobody", "",
];

const DATA: &str = "
billing_markets:
  - { code: AU, name: Australia, currency: AUD }
  - { code: NZ, name: New Zealand, currency: NZD }
  - { code: UK, name: United Kingdom, currency: GBP, aliases: [GB] }
accounts:
  - { id: direct, kind: direct }
  - { id: partner, kind: partner }
  - { id: priced, kind: managed, partner: partner, support: partner }
  - { id: plain, kind: managed, partner: partner, support: partner }
  - { id: other, kind: partner }
  - { id: nowhere, kind: managed, partner: other, support: partner }
  - { id: idle, kind: managed, partner: partner, support: platform }
policies:
  - partner: partner
    billing_markets: [AU, GB]
    accounts: { priced: { pricing.view: on } }
";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
});

/// A service over this catalogue.
fn api(locations: Vec<Location>) -> AuthorizationApi {
    // Accounts that the platform supports may not order here.
    let ordering = "  - feature: services.order";
    let (before, rest) = FeatureMatrix::BUILT_IN.split_once(ordering).unwrap();
    let rest = rest.replacen("platform_supported: allow", "platform_supported: deny", 1);
    let matrix = FeatureMatrix::parse(&format!("{before}{ordering}{rest}")).unwrap();
    let (mut import, _) = datafile::parse(DATA, &matrix).unwrap();
    let line = |value| Line { line: 1, value };
    import.locations = locations.into_iter().map(line).collect();
    RUNTIME.block_on(async {
        let store = MemoryStore::default();
        store.import(&import, &|_| {}).await.unwrap();
        let config = DirectoryConfig::default();
        let (directory, keep_true) = Directory::new(Arc::new(store), Arc::new(matrix), config);
        tokio::spawn(keep_true);
        AuthorizationApi::new(Authorizer::new(directory))
    })
}

/// What came of a request: the bytes of the answer, or of the refusal each part.
#[derive(Debug, PartialEq)]
enum Came {
    Answer(Vec<u8>),
    Refusal(Code, String, Vec<u8>),
}

impl Came {
    fn of(result: Result<Vec<u8>, Status>) -> Self {
        match result {
            Ok(answer) => Self::Answer(answer),
            Err(status) => Self::Refusal(
                status.code(),
                status.message().to_owned(),
                status.details().to_vec(),
            ),
        }
    }
}

fn ours(api: &AuthorizationApi, request: &[u8]) -> Came {
    let answered = RUNTIME.block_on(async {
        let request = CatalogRequest::decode(request.to_vec().into())?;
        let answer = api.filter_catalog(Request::new(request)).await?;
        let (answer, mut bytes) = (answer.into_inner(), BytesMut::new());
        answer.encode(&mut bytes)?;
        assert_eq!(bytes.len(), answer.encoded_len());
        Ok(bytes.to_vec())
    });
    Came::of(answered)
}

fn ordinary(api: &AuthorizationApi, request: &[u8]) -> Came {
    let answered = RUNTIME.block_on(ordinary::filter(api, request));
    Came::of(answered.map(|answer| answer.encode_to_vec()))
}

/// What both say, which is the same.
#[track_caller]
fn agreed(api: &AuthorizationApi, request: &[u8]) -> Came {
    let (ours, want) = (ours(api, request), ordinary(api, request));
    assert_eq!(ours, want, "{request:02x?}");
    ours
}
