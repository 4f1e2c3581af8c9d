//! Answers as JSON, by protobuf's own mapping: the names of the API, fields with default values
//! too, 64-bit numbers as strings.

use anyhow::Context as _;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Serializer;

use crate::proto::DESCRIPTORS;

/// `message` as JSON; `name` is its name in package `portcullis.v1`.
pub(super) fn render<M: prost::Message>(name: &str, message: &M) -> anyhow::Result<String> {
    let pool = DescriptorPool::decode(DESCRIPTORS).context("the embedded API cannot be read")?;
    let descriptor = pool
        .get_message_by_name(&format!("portcullis.v1.{name}"))
        .with_context(|| format!("the embedded API has no `{name}`"))?;
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic.transcode_from(message)?;
    let mut json = Serializer::pretty(Vec::new());
    let options = SerializeOptions::new().skip_default_fields(false);
    dynamic.serialize_with_options(&mut json, &options)?;
    Ok(format!("{}\n", String::from_utf8(json.into_inner())?))
}
