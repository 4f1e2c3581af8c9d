//! The dashboard as Grafana reads it, made of what somebody decided about it.

use serde::Deserialize;
use serde_json::{Value, json};

/// `monitoring/dashboard.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    uid: String,
    title: String,
    description: String,
    variables: Vec<Variable>,
    annotations: Vec<Annotation>,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    name: String,
    label: String,
    values: String,
    many: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotation {
    name: String,
    expr: String,
    title: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    title: String,
    panels: Vec<Panel>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Panel {
    title: String,
    about: String,
    #[serde(rename = "as")]
    form: Form,
    width: u32,
    height: Option<u32>,
    unit: String,
    #[serde(default)]
    steps: Vec<Step>,
    queries: Vec<Query>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    Graph,
    Stack,
    Stat,
    Table,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    from: f64,
    color: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    expr: String,
    legend: Option<String>,
}

/// Columns of a dashboard.
const COLUMNS: u32 = 24;

/// What `$replicas` stands for.
const REPLICAS: &str = r#"namespace="$namespace", job=~"$job", instance=~"$instance""#;

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// The dashboard.
pub(crate) fn render(source: &Source) -> Value {
    json!({
        "annotations": { "list": annotations(source) },
        "description": source.description,
        "editable": true,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": null,
        "links": [],
        "panels": panels(source),
        "refresh": "30s",
        "schemaVersion": 39,
        "tags": ["portcullis", "grpc"],
        "templating": { "list": variables(source) },
        "time": { "from": "now-3h", "to": "now" },
        "timepicker": {},
        "timezone": "",
        "title": source.title,
        "uid": source.uid,
        "version": 1,
        "weekStart": "",
    })
}

fn annotations(source: &Source) -> Vec<Value> {
    let annotations = source.annotations.iter().map(|annotation| {
        json!({
            "datasource": datasource(),
            "enable": true,
            "expr": annotation.expr,
            "hide": false,
            "iconColor": "red",
            "name": annotation.name,
            "titleFormat": annotation.title,
        })
    });
    annotations.collect()
}

fn variables(source: &Source) -> Vec<Value> {
    let mut variables = vec![json!({
        "hide": 0,
        "includeAll": false,
        "label": "Data source",
        "multi": false,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "type": "datasource",
    })];
    variables.extend(source.variables.iter().map(|variable| {
        json!({
            "allValue": if variable.many { Value::from(".*") } else { Value::Null },
            "current": if variable.many {
                json!({ "selected": true, "text": ["All"], "value": ["$__all"] })
            } else {
                json!({})
            },
            "datasource": datasource(),
            "definition": variable.values,
            "hide": 0,
            "includeAll": variable.many,
            "label": variable.label,
            "multi": variable.many,
            "name": variable.name,
            "options": [],
            "query": { "query": variable.values, "refId": variable.name },
            // When the time range changes: replicas come and go.
            "refresh": 2,
            "regex": "",
            "sort": 1,
            "type": "query",
        })
    }));
    variables
}

/// Where panels go: from left to right, and then on to the next line.
struct Cursor {
    x: u32,
    y: u32,
    height: u32,
}

impl Cursor {
    fn place(&mut self, width: u32, height: u32) -> Value {
        if self.x + width > COLUMNS {
            self.next_line();
        }
        let place = json!({ "h": height, "w": width, "x": self.x, "y": self.y });
        self.x += width;
        self.height = self.height.max(height);
        place
    }

    fn next_line(&mut self) {
        self.x = 0;
        self.y += self.height;
        self.height = 0;
    }
}

fn panels(source: &Source) -> Vec<Value> {
    let mut panels = Vec::new();
    let mut cursor = Cursor {
        x: 0,
        y: 0,
        height: 0,
    };
    for row in &source.rows {
        cursor.next_line();
        panels.push(json!({
            "collapsed": false,
            "gridPos": cursor.place(COLUMNS, 1),
            "id": panels.len() + 1,
            "panels": [],
            "title": row.title,
            "type": "row",
        }));
        cursor.next_line();
        for panel in &row.panels {
            let usual = if panel.form == Form::Stat { 4 } else { 8 };
            let place = cursor.place(panel.width, panel.height.unwrap_or(usual));
            panels.push(one(panel, panels.len() + 1, &place));
        }
    }
    panels
}

fn one(panel: &Panel, id: usize, place: &Value) -> Value {
    let (kind, custom, options, transformations) = match panel.form {
        Form::Graph => ("timeseries", lines(false), legend(), json!([])),
        Form::Stack => ("timeseries", lines(true), legend(), json!([])),
        Form::Stat => ("stat", json!({}), number(), json!([])),
        Form::Table => (
            "table",
            json!({ "filterable": true }),
            json!({ "showHeader": true }),
            by_replica(),
        ),
    };
    let mut defaults = json!({
        "custom": custom,
        "thresholds": { "mode": "absolute", "steps": steps(&panel.steps) },
        "unit": panel.unit,
    });
    if panel.form == Form::Stat {
        defaults["color"] = json!({ "mode": "thresholds" });
    } else {
        defaults["color"] = json!({ "mode": "palette-classic" });
        defaults["min"] = json!(0);
    }
    json!({
        "datasource": datasource(),
        "description": panel.about,
        "fieldConfig": { "defaults": defaults, "overrides": [] },
        "gridPos": place,
        "id": id,
        "options": options,
        "targets": targets(panel),
        "title": panel.title,
        "transformations": transformations,
        "type": kind,
    })
}

fn lines(stacked: bool) -> Value {
    json!({
        "drawStyle": "line",
        "fillOpacity": if stacked { 30 } else { 5 },
        "lineWidth": 1,
        "showPoints": "never",
        "stacking": { "group": "A", "mode": if stacked { "normal" } else { "none" } },
    })
}

fn legend() -> Value {
    json!({
        "legend": { "calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": true },
        "tooltip": { "mode": "multi", "sort": "desc" },
    })
}

fn number() -> Value {
    json!({
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
        "textMode": "auto",
    })
}

/// One row for each replica, with what the queries say of it beside each other.
fn by_replica() -> Value {
    json!([
        { "id": "joinByField", "options": { "byField": "instance", "mode": "outer" } },
        { "id": "organize", "options": { "excludeByName": {
            "Time": true, "Time 1": true, "Time 2": true, "Value #A": true, "Value #B": true,
        } } },
    ])
}

/// Without any, a number is green whatever it is. The first has no lower end.
fn steps(steps: &[Step]) -> Vec<Value> {
    if steps.is_empty() {
        return vec![json!({ "color": "green", "value": null })];
    }
    let steps = steps.iter().enumerate().map(|(number, step)| {
        let from = if number == 0 {
            Value::Null
        } else {
            json!(step.from)
        };
        json!({ "color": step.color, "value": from })
    });
    steps.collect()
}

fn targets(panel: &Panel) -> Vec<Value> {
    let at_once = panel.form == Form::Table;
    let targets = panel
        .queries
        .iter()
        .zip('A'..='Z')
        .map(|(query, reference)| {
            json!({
                "datasource": datasource(),
                "editorMode": "code",
                "expr": query.expr.replace("$replicas", REPLICAS),
                "format": if at_once { "table" } else { "time_series" },
                "instant": at_once,
                "legendFormat": query.legend.as_deref().unwrap_or("__auto"),
                "range": !at_once,
                "refId": reference.to_string(),
            })
        });
    targets.collect()
}
