{{/*
The name of the program in labels.
*/}}
{{- define "portcullis.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/*
What the names of all objects begin with. A service's name has at most 63 characters, begins with a letter and has no
dot; a release's may have 53, begin with a digit and have dots. 53 leaves room for the longest ending.
*/}}
{{- define "portcullis.fullname" -}}
{{- $name := include "portcullis.name" . -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- $full := "" -}}
{{- if .Values.fullnameOverride -}}
{{- $full = .Values.fullnameOverride -}}
{{- else if contains $name $release -}}
{{- $full = $release -}}
{{- else -}}
{{- $full = printf "%s-%s" $release $name -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]" $full) -}}
{{- $full = printf "p-%s" $full -}}
{{- end -}}
{{- $full | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "portcullis.headless" -}}
{{- printf "%s-headless" (include "portcullis.fullname" .) -}}
{{- end -}}

{{- define "portcullis.testName" -}}
{{- printf "%s-test" (include "portcullis.fullname" .) -}}
{{- end -}}

{{/*
The labels of an object, of a component where `component` is given, and with `extra` ones:
(dict "root" $ "component" "server" "extra" .Values.podLabels). A label that is named twice is there once, and the
chart's own cannot be replaced: selectors go by them.
*/}}
{{- define "portcullis.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- mergeOverwrite dict (include "portcullis.podLabels" . | fromYaml) $own | toYaml -}}
{{- end -}}

{{/*
The same for a pod, without the chart's version: a new chart alone is no reason to restart.
*/}}
{{- define "portcullis.podLabels" -}}
{{- $version := .root.Values.image.tag | default .root.Chart.AppVersion | trunc 63 | trimAll "-._" -}}
{{- mergeOverwrite dict (.root.Values.commonLabels | default dict) (.extra | default dict)
  (dict "app.kubernetes.io/version" $version) (include "portcullis.identity" . | fromYaml) | toYaml -}}
{{- end -}}

{{/*
What selectors go by, and so what may never change: a Deployment's selector cannot. The pods of the migration and of
the test have another component, so that no service sends them calls.
*/}}
{{- define "portcullis.identity" -}}
app.kubernetes.io/name: {{ include "portcullis.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "portcullis.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "portcullis.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.image" -}}
{{- with .Values.image -}}
{{- with .registry }}{{ trimSuffix "/" . }}/{{ end }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ with .digest }}@{{ . }}{{ end -}}
{{- end -}}
{{- end -}}

{{/*
Milliseconds of a time such as `300ms`, `5s`, `4m` or `1h`.
*/}}
{{- define "portcullis.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- mul (trimSuffix $unit . | int64) (get $units $unit) -}}
{{- end -}}

{{/*
The number that a quantity such as `250m`, `0.5` or `128Mi` is.
*/}}
{{- define "portcullis.quantity" -}}
{{- $units := dict "" 1.0 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 -}}
{{- $unit := regexFind "[a-zA-Z]*$" . -}}
{{- mulf (trimSuffix $unit . | float64) (get $units $unit) -}}
{{- end -}}

{{/*
The port that a URL names, or nothing.
*/}}
{{- define "portcullis.portOf" -}}
{{- regexFind "^[a-z]+://(\\[[^\\]/]*\\]|[^\\[/:]*):[0-9]+" . | regexFind "[0-9]+$" -}}
{{- end -}}

{{/*
What a drain may take, in whole seconds: the delay and the grace.
*/}}
{{- define "portcullis.drainSeconds" -}}
{{- $delay := include "portcullis.milliseconds" .Values.settings.shutdownDelay | int64 -}}
{{- $grace := include "portcullis.milliseconds" .Values.settings.shutdownGrace | int64 -}}
{{- div (add $delay $grace 999) 1000 -}}
{{- end -}}

{{- define "portcullis.terminationSeconds" -}}
{{- if kindIs "invalid" .Values.terminationGracePeriodSeconds -}}
{{- add (include "portcullis.drainSeconds" . | int64) 5 -}}
{{- else -}}
{{- int64 .Values.terminationGracePeriodSeconds -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.replicas" -}}
{{- if kindIs "invalid" .Values.replicaCount -}}
{{- eq .Values.store "memory" | ternary 1 2 -}}
{{- else -}}
{{- int64 .Values.replicaCount -}}
{{- end -}}
{{- end -}}

{{/*
Yes or nothing, for `if`.
*/}}
{{- define "portcullis.hasTls" -}}
{{- if or .Values.tls.existingSecret .Values.tls.certManager.enabled -}}yes{{- end -}}
{{- end -}}

{{- define "portcullis.hasMtls" -}}
{{- if contains "mtls" .Values.auth.mode -}}yes{{- end -}}
{{- end -}}

{{- define "portcullis.hasJwt" -}}
{{- if contains "jwt" .Values.auth.mode -}}yes{{- end -}}
{{- end -}}

{{/*
Whether keys come from the cluster's API server, for which a pod needs a token.
*/}}
{{- define "portcullis.asksCluster" -}}
{{- if and (include "portcullis.hasJwt" .) .Values.auth.jwt.jwks.inCluster (not .Values.auth.jwt.jwks.existingConfigMap) -}}yes{{- end -}}
{{- end -}}

{{/*
Whether the test shows a token: one of the cluster, where those are what callers show, and never without TLS. One that is
refused would make the test fail, while without any it is told UNAUTHENTICATED, which is an answer.
*/}}
{{- define "portcullis.testHasToken" -}}
{{- if and .Values.tests.enabled (include "portcullis.asksCluster" .) (include "portcullis.hasTls" .) -}}yes{{- end -}}
{{- end -}}

{{- define "portcullis.ownMatrix" -}}
{{- if .Values.matrix.content -}}yes{{- end -}}
{{- end -}}

{{- define "portcullis.ownCallers" -}}
{{- if and (ne .Values.auth.mode "none") (not .Values.auth.existingCallersConfigMap) -}}yes{{- end -}}
{{- end -}}

{{- define "portcullis.migrates" -}}
{{- if and (eq .Values.store "postgres") .Values.migration.enabled -}}yes{{- end -}}
{{- end -}}

{{- define "portcullis.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%s-tls" (include "portcullis.fullname" .)) -}}
{{- end -}}

{{/*
The service's name for other pods, in full enough for those of other namespaces.
*/}}
{{- define "portcullis.host" -}}
{{- printf "%s.%s.svc" (include "portcullis.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "portcullis.url" -}}
{{- printf "%s://%s:%d" (ternary "https" "http" (eq (include "portcullis.hasTls" .) "yes")) (include "portcullis.host" .) (int64 .Values.service.port) -}}
{{- end -}}

{{/*
An address to listen at: (dict "root" $ "port" 50051).
*/}}
{{- define "portcullis.listen" -}}
{{- if contains ":" .root.Values.listenAddress -}}
{{- printf "[%s]:%d" .root.Values.listenAddress .port -}}
{{- else -}}
{{- printf "%s:%d" .root.Values.listenAddress .port -}}
{{- end -}}
{{- end -}}

{{/*
The database's flags and its volume, for the server and for the migration: (dict "root" $ "secret" … "key" …).
*/}}
{{- define "portcullis.databaseArgs" -}}
- --database-url-file=/etc/portcullis/database/url
{{- if or .Values.database.tlsCa.existingConfigMap .Values.database.tlsCa.existingSecret }}
- --database-tls-ca=/etc/portcullis/database-ca/ca.crt
{{- end }}
{{- end -}}

{{- define "portcullis.databaseVolumes" -}}
- name: database
  secret:
    secretName: {{ .secret }}
    defaultMode: 288 # 0440
    items:
      - key: {{ .key }}
        path: url
{{- with .root.Values.database.tlsCa }}
{{- if or .existingConfigMap .existingSecret }}
{{ include "portcullis.authorities" (dict "name" "database-ca" "from" .) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "portcullis.databaseMounts" -}}
- name: database
  mountPath: /etc/portcullis/database
  readOnly: true
{{- if or .Values.database.tlsCa.existingConfigMap .Values.database.tlsCa.existingSecret }}
- name: database-ca
  mountPath: /etc/portcullis/database-ca
  readOnly: true
{{- end }}
{{- end -}}

{{/*
A volume with one file of authorities, ca.crt, from a Secret or a ConfigMap.
*/}}
{{- define "portcullis.authorities" -}}
- name: {{ .name }}
{{- if .from.existingSecret }}
  secret:
    secretName: {{ .from.existingSecret }}
    defaultMode: 288 # 0440
{{- else }}
  configMap:
    name: {{ .from.existingConfigMap }}
{{- end }}
    items:
      - key: {{ .from.key }}
        path: ca.crt
{{- end -}}
