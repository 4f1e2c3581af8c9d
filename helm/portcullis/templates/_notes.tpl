{{/*
What is said after an install. In a template of its own, so that a test can look at it too: Helm shows NOTES.txt only
where there is a cluster.
*/}}
{{- define "portcullis.notes" -}}
{{- $name := include "portcullis.fullname" . -}}
{{- $ns := .Release.Namespace -}}
{{- $tls := include "portcullis.hasTls" . -}}
{{- $jwt := include "portcullis.hasJwt" . -}}
{{- $mtls := include "portcullis.hasMtls" . -}}
{{- $cluster := include "portcullis.asksCluster" . -}}
{{- $token := include "portcullis.testHasToken" . -}}
Portcullis {{ .Values.image.tag | default .Chart.AppVersion }} is at {{ include "portcullis.url" . }}
Clients that balance by themselves ask dns:///{{ include "portcullis.headless" . }}.{{ $ns }}.svc:50051
{{ if eq .Values.store "memory" }}
It serves from memory, demo data unless extraArgs name others: what is changed is gone when the pod is.
{{ else if not .Values.migration.enabled }}
migration.enabled is false: pods are not ready before the schema fits. Run `portcullis migrate` against the database.
{{ end }}
Wait until it is ready:

  kubectl -n {{ $ns }} rollout status deployment/{{ $name }}
{{ if .Values.tests.enabled }}
Ask for health, and make a check, through the service:

  helm -n {{ $ns }} test {{ .Release.Name }} --logs
{{- if and (ne .Values.auth.mode "none") (not $token) (not .Values.tests.clientCertificateSecret) }}

  It shows no {{ if not $mtls }}token{{ else if $jwt }}token and no certificate{{ else }}certificate (tests.clientCertificateSecret){{ end }}: its check is answered UNAUTHENTICATED, and that counts as an answer.
{{- end }}
{{- if and $token .Values.auth.existingCallersConfigMap }}

  It shows a token, and fails where that is refused. ConfigMap {{ .Values.auth.existingCallersConfigMap }} needs this line:
  - { id: "system:serviceaccount:{{ $ns }}:{{ include "portcullis.testName" . }}", roles: [check] }
{{- end }}

Its pod stays until the next test, so that its log can be read. This removes it:

  kubectl -n {{ $ns }} delete pod -l app.kubernetes.io/component=test,app.kubernetes.io/instance={{ .Release.Name }}
{{ end }}
Ask it yourself{{ if not .Values.settings.reflection }} (settings.reflection is false: give grpcurl the proto files, with -proto){{ end }}:

  kubectl -n {{ $ns }} port-forward service/{{ $name }} 50051:{{ int64 .Values.service.port }} &
{{- if $tls }}
{{- if .Values.tls.caKey }}
  kubectl -n {{ $ns }} get secret {{ include "portcullis.tlsSecret" . }} -o go-template='{{ printf "{{index .data %q | base64decode}}" .Values.tls.caKey }}' > ca.crt
{{- end }}
{{- end }}
{{- if $cluster }}
  kubectl -n {{ $ns }} create token SERVICEACCOUNT --audience {{ .Values.auth.jwt.audience }} > token
{{- else if $jwt }}
  # Into the file `token`: one of {{ .Values.auth.jwt.issuer }} for {{ .Values.auth.jwt.audience }}.
{{- end }}
  grpcurl {{ if not $tls }}-plaintext {{ else }}{{ if .Values.tls.caKey }}-cacert ca.crt {{ end }}-authority {{ include "portcullis.host" . }} {{ end -}}
  {{- if $jwt }}-H "authorization: Bearer $(cat token)" {{ else if $mtls }}-cert client.crt -key client.key {{ end -}}
  -d '{"account_id": "{{ eq .Values.store "memory" | ternary "northwind-games" "ACCOUNT" }}", "feature": "pricing.view"}' \
    localhost:50051 portcullis.v1.AuthorizationService/CheckFeature

Metrics and probes are at port http: http://{{ include "portcullis.headless" . }}.{{ $ns }}.svc:9090/metrics
{{- if not .Values.serviceMonitor.enabled }} (serviceMonitor.enabled is false)
{{- end }}
{{ if .Values.networkPolicy.enabled }}
The NetworkPolicy lets in {{ if .Values.networkPolicy.allowSameNamespace }}the pods of namespace {{ $ns }}{{ if .Values.networkPolicy.allowFrom }}, and who is in networkPolicy.allowFrom{{ else }} alone{{ end }}{{ else if .Values.networkPolicy.allowFrom }}who is in networkPolicy.allowFrom{{ else }}nobody: set networkPolicy.allowFrom{{ end }}.
{{- if not .Values.networkPolicy.allowFrom }} Callers in other namespaces need networkPolicy.allowFrom.
{{- end }}
{{- end }}
{{- if eq .Values.auth.mode "none" }}

WARNING: auth.mode is none. Whoever can connect may do everything, and may change every partner's policy.
{{- if .Values.networkPolicy.enabled }}
Only the NetworkPolicy decides who can connect, and only where the cluster's network enforces it.
{{- else }}
networkPolicy.enabled is false too: every pod of the cluster can connect.
{{- end }}
Set auth.mode to mtls or jwt, and say in `callers` who may do what.
{{- end }}
{{- if and $jwt .Values.auth.jwt.allowPlaintext }}

WARNING: auth.jwt.allowPlaintext is true. Whoever reads a token on its way can use it: a mesh has to encrypt.
{{- end }}
{{- end -}}
