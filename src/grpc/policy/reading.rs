//! What is only read: the matrix, the history, explanations.

use prost::Message as _;

use crate::domain::{Invalid, Revision};
use crate::grpc::MAX_MESSAGE;
use crate::grpc::authorization::answer;
use crate::grpc::page_token::Listing;
use crate::grpc::parse::{check, complete};
use crate::grpc::status::Violations;
use crate::proto::v1;
use crate::store::ChangesPage;

use super::{Answer, PolicyApi, encode, parse, told};

/// The most bytes of a page of the history; one change is told whatever it takes.
const MAX_PAGE_BYTES: usize = 2 << 20;

impl PolicyApi {
    pub(super) fn matrix(
        &self,
        v1::GetFeatureMatrixRequest {}: v1::GetFeatureMatrixRequest,
    ) -> Answer<v1::GetFeatureMatrixResponse> {
        let features = self.administrator.matrix().features();
        answer(
            v1::GetFeatureMatrixResponse {
                features: features.map(|(_, row)| encode::feature(row)).collect(),
                digest: self.administrator.matrix_digest().to_owned(),
            },
            MAX_MESSAGE,
        )
    }

    pub(super) async fn changes(
        &self,
        request: v1::ListPolicyChangesRequest,
    ) -> Answer<v1::ListPolicyChangesResponse> {
        let v1::ListPolicyChangesRequest {
            partner_id,
            account_id,
            after_revision,
            page_size,
            page_token,
        } = request;
        let since = after_revision.to_string();
        let listing = Listing::new("ListPolicyChanges")
            .of([partner_id.as_str()])
            .of([account_id.as_str()])
            .of([since.as_str()]);
        let mut violations = Violations::default();
        let position = listing.position::<Position>(&page_token);
        let position = violations.take(|| "page_token".to_owned(), position);
        let partner = parse::optional_id(&mut violations, "partner_id", partner_id.clone());
        let account = parse::optional_id(&mut violations, "account_id", account_id.clone());
        let limit = parse::page_size(&mut violations, page_size);
        let parsed = partner.zip(account).zip(position).zip(limit);
        let (((partner, account), position), limit) = complete(violations, parsed)?;

        let page = ChangesPage {
            partner,
            account,
            after: position.map_or(Revision(after_revision), |Position(last)| last),
            limit,
            limit_bytes: MAX_PAGE_BYTES,
        };
        let found = self.administrator.changes(&page).await.map_err(told)?;

        let mut answered = v1::ListPolicyChangesResponse::default();
        let (mut bytes, mut more) = (0, found.more);
        for record in found.items {
            let change = encode::change(record);
            // Comments and names take bytes too, which the store did not count.
            let length = change.encoded_len();
            bytes += 1 + prost::length_delimiter_len(length) + length;
            if bytes > MAX_PAGE_BYTES && !answered.changes.is_empty() {
                more = true;
                break;
            }
            answered.changes.push(change);
        }
        if let Some(last) = answered.changes.last().filter(|_| more) {
            answered.next_page_token = listing.token(&last.revision.to_string());
        }
        answer(answered, MAX_MESSAGE)
    }

    pub(super) async fn explain(
        &self,
        v1::ExplainFeatureRequest {
            account_id,
            feature,
        }: v1::ExplainFeatureRequest,
    ) -> Answer<v1::ExplainFeatureResponse> {
        let account = check(&account_id, &feature, str::to_owned)?;

        let explanation = self.administrator.explain(&account, &feature).await;

        let explanation = explanation.map_err(told)?;
        let (account, revision) = (&explanation.account, explanation.revision);
        let required = explanation.required.into_iter();
        let required = required.map(|one| encode::explained(account, revision, one));
        answer(
            v1::ExplainFeatureResponse {
                required: required.collect(),
                ..encode::explained(account, revision, explanation.asked)
            },
            MAX_MESSAGE,
        )
    }
}

/// Where a page of the history goes on: after this revision.
struct Position(Revision);

impl TryFrom<String> for Position {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let revision = text.parse().map(|number| Self(Revision(number)));
        revision.map_err(|_not_a_number| Invalid::new("is no revision"))
    }
}
