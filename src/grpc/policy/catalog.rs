//! Billing markets and locations.

use std::collections::BTreeSet;

use tonic::{Request, Status};

use crate::domain::{MAX_MARKETS, Revision};
use crate::grpc::authorization::answer;
use crate::grpc::caller::Caller;
use crate::grpc::parse::complete;
use crate::grpc::status::Violations;
use crate::grpc::{MAX_CATALOG_MESSAGE, MAX_MESSAGE};
use crate::proto::v1;
use crate::store::Write;

use super::context::WriteMessage;
use super::{Answer, PolicyApi, context, encode, parse, parse_catalog, told};

impl PolicyApi {
    pub(super) async fn markets(
        &self,
        v1::ListBillingMarketsRequest {}: v1::ListBillingMarketsRequest,
    ) -> Answer<v1::ListBillingMarketsResponse> {
        let (markets, revision) = self.administrator.markets().await.map_err(told)?;

        answer(
            v1::ListBillingMarketsResponse {
                markets: markets.into_iter().map(encode::market).collect(),
                revision: revision.0,
            },
            MAX_MESSAGE,
        )
    }

    pub(super) async fn put_markets(
        &self,
        request: Request<v1::PutBillingMarketsRequest>,
    ) -> Answer<v1::PutBillingMarketsResponse> {
        let Revision(revision) = self
            .change(request, |violations, message| {
                let markets = parse_catalog::markets(violations, message.markets)?;
                Some(Write::PutMarkets(markets))
            })
            .await?;
        answer(
            v1::PutBillingMarketsResponse { revision },
            MAX_CATALOG_MESSAGE,
        )
    }

    pub(super) async fn delete_markets(
        &self,
        request: Request<v1::DeleteBillingMarketsRequest>,
    ) -> Answer<v1::DeleteBillingMarketsResponse> {
        let Revision(revision) = self
            .change(request, |violations, message| {
                let distinct: BTreeSet<_> = message.codes.iter().collect();
                parse::at_most(violations, "codes", distinct.len(), MAX_MARKETS)?;
                let codes = parse::codes(violations, "codes", &message.codes)?;
                Some(Write::DeleteMarkets(codes))
            })
            .await?;
        answer(
            v1::DeleteBillingMarketsResponse { revision },
            MAX_CATALOG_MESSAGE,
        )
    }

    pub(super) async fn put_places(
        &self,
        request: Request<v1::PutLocationsRequest>,
    ) -> Answer<v1::PutLocationsResponse> {
        let Revision(revision) = self
            .change(request, |violations, message| {
                let locations = parse_catalog::locations(violations, message.locations)?;
                Some(Write::PutLocations(locations))
            })
            .await?;
        answer(v1::PutLocationsResponse { revision }, MAX_CATALOG_MESSAGE)
    }

    pub(super) async fn delete_places(
        &self,
        request: Request<v1::DeleteLocationsRequest>,
    ) -> Answer<v1::DeleteLocationsResponse> {
        let Revision(revision) = self
            .change(request, |violations, message| {
                let ids = parse_catalog::location_ids(violations, message.location_ids)?;
                Some(Write::DeleteLocations(ids))
            })
            .await?;
        answer(
            v1::DeleteLocationsResponse { revision },
            MAX_CATALOG_MESSAGE,
        )
    }

    /// A change of the catalogue: what is to change is all that the four have for themselves.
    async fn change<M: WriteMessage>(
        &self,
        request: Request<M>,
        parse: impl FnOnce(&mut Violations, M) -> Option<Write>,
    ) -> Result<Revision, Status> {
        let caller = Caller::of(&request);
        let mut message = request.into_inner();
        let mut violations = Violations::default();
        let by = context::take(&mut violations, &mut message, caller, "");
        let write = parse(&mut violations, message);
        let (write, by) = complete(violations, write.zip(by))?;

        let written = self.administrator.write(write, by).await.map_err(told)?;

        Ok(written.revision)
    }
}
