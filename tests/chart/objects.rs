//! Kubernetes's objects, as Helm rendered them.

use std::collections::BTreeMap;

use k8s_openapi::Resource;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) type Labels = BTreeMap<String, String>;

/// What `helm template` printed.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    /// For messages: which values, for which version.
    pub(crate) what: String,
    /// The file of values.
    pub(crate) file: String,
    /// What was in it.
    pub(crate) values: Value,
    /// As it was printed.
    pub(crate) text: String,
    pub(crate) objects: Vec<Value>,
}

/// A pod, or what pods are made from.
#[derive(Debug)]
pub(crate) struct PodOf {
    /// The kind and the name of the object that it is in.
    pub(crate) owner: String,
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: PodSpec,
}

impl Release {
    pub(crate) fn parse(what: String, text: &str) -> Self {
        let objects: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
        let objects: Vec<_> = objects.into_iter().filter(|it| !it.is_null()).collect();
        assert!(!objects.is_empty(), "{what}: nothing was rendered");
        Self {
            what,
            file: String::new(),
            values: Value::Null,
            text: text.to_owned(),
            objects,
        }
    }

    /// The objects of a type.
    pub(crate) fn all<T: Resource + DeserializeOwned>(&self) -> Vec<T> {
        self.of_kind(T::KIND)
            .map(|object| {
                assert_eq!(object["apiVersion"], T::API_VERSION, "{}", self.what);
                serde_json::from_value(object.clone())
                    .unwrap_or_else(|error| panic!("{}: {error} in {object}", self.what))
            })
            .collect()
    }

    /// The objects of a kind, of which there may be no type.
    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |it| it["kind"] == kind)
    }

    /// The one Deployment.
    pub(crate) fn deployment(&self) -> Deployment {
        let mut all = self.all::<Deployment>();
        assert_eq!(all.len(), 1, "{}", self.what);
        all.remove(0)
    }

    /// What the Deployment makes pods from.
    pub(crate) fn server(&self) -> PodOf {
        let mut pods = self.pods();
        pods.retain(|pod| pod.owner.starts_with("Deployment/"));
        assert_eq!(pods.len(), 1, "{}", self.what);
        pods.remove(0)
    }

    /// Every pod that there may be.
    pub(crate) fn pods(&self) -> Vec<PodOf> {
        let mut pods = Vec::new();
        for it in self.all::<Deployment>() {
            let template = it.spec.unwrap().template;
            pods.push(PodOf {
                owner: format!("Deployment/{}", it.metadata.name.unwrap()),
                metadata: template.metadata.unwrap(),
                spec: template.spec.unwrap(),
            });
        }
        for it in self.all::<Job>() {
            let template = it.spec.unwrap().template;
            pods.push(PodOf {
                owner: format!("Job/{}", it.metadata.name.unwrap()),
                metadata: template.metadata.unwrap(),
                spec: template.spec.unwrap(),
            });
        }
        for it in self.all::<Pod>() {
            pods.push(PodOf {
                owner: format!("Pod/{}", it.metadata.name.clone().unwrap()),
                metadata: it.metadata,
                spec: it.spec.unwrap(),
            });
        }
        pods
    }
}

impl PodOf {
    pub(crate) fn labels(&self) -> &Labels {
        self.metadata.labels.as_ref().unwrap()
    }

    /// The one container.
    pub(crate) fn container(&self) -> &Container {
        assert_eq!(self.spec.containers.len(), 1, "{}", self.owner);
        &self.spec.containers[0]
    }

    /// What it is started with.
    pub(crate) fn args(&self) -> &[String] {
        self.container().args.as_ref().unwrap()
    }
}

/// Whether a selector of these labels takes what has those.
pub(crate) fn selects(selector: &Labels, labels: &Labels) -> bool {
    assert!(
        !selector.is_empty(),
        "a selector without labels takes everything"
    );
    selector
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether an object is a hook, and so made at another time than the release.
pub(crate) fn is_hook(object: &Value) -> bool {
    object["metadata"]["annotations"]["helm.sh/hook"].is_string()
}

/// `Kind/name` of an object.
pub(crate) fn title(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap();
    format!("{kind}/{}", object["metadata"]["name"].as_str().unwrap())
}
