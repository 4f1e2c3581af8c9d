//! AuthorizationService over a real connection.

#![cfg(test)]

mod support;

use portcullis::proto::v1;
use support::server::Server;

#[tokio::test]
async fn a_check_is_answered_with_its_reason() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let request = v1::CheckFeatureRequest {
        account_id: "northwind-retail".to_owned(),
        feature: "pricing.view".to_owned(),
        consistency: None,
    };
    let answer = client.check_feature(request).await.unwrap().into_inner();
    let want = v1::CheckFeatureResponse {
        effect: v1::Effect::Deny.into(),
        reason: v1::Reason::AccountSetting.into(),
        revision: 1,
        stale: false,
    };
    assert_eq!(answer, want);
    drop(client);
    assert_eq!(server.stop().await, portcullis::app::Drained::Clean);
}
