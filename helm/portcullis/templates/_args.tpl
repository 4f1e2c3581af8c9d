{{/*
What the container is started with, one flag a line. Each setting is passed, also where it is the program's default:
what a pod runs with is to be read from it.
*/}}
{{- define "portcullis.args" -}}
{{ include "portcullis.ownArgs" . }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "portcullis.ownArgs" -}}
- serve
- --listen={{ include "portcullis.listen" (dict "root" . "port" 50051) }}
- --http-listen={{ include "portcullis.listen" (dict "root" . "port" 9090) }}
{{- if eq .Values.store "postgres" }}
{{ include "portcullis.databaseArgs" . }}
{{- end }}
{{- if or .Values.matrix.content .Values.matrix.existingConfigMap }}
- --matrix=/etc/portcullis/matrix/matrix.yaml
{{- end }}
{{- if include "portcullis.hasTls" . }}
- --tls-cert=/etc/portcullis/tls/tls.crt
- --tls-key=/etc/portcullis/tls/tls.key
{{- end }}
- --auth={{ .Values.auth.mode }}
{{- if eq .Values.auth.mode "none" }}
- --allow-anonymous
{{- else }}
- --callers=/etc/portcullis/callers/callers.yaml
{{- end }}
{{- if include "portcullis.hasMtls" . }}
- --tls-client-ca=/etc/portcullis/client-ca/ca.crt
{{- with .Values.auth.mtls.trustDomain }}
- --trust-domain={{ . }}
{{- end }}
{{- end }}
{{- if include "portcullis.hasJwt" . }}
{{- with .Values.auth.jwt }}
- {{ printf "--jwt-issuer=%s" .issuer | quote }}
- {{ printf "--jwt-audience=%s" .audience | quote }}
{{- if .jwks.existingConfigMap }}
- --jwt-jwks=/etc/portcullis/jwks/jwks.json
{{- else }}
- {{ printf "--jwt-jwks=%s" .jwks.url | quote }}
{{- end }}
{{- if include "portcullis.asksCluster" $ }}
- --jwt-jwks-ca=/var/run/secrets/portcullis/ca.crt
- --jwt-jwks-token-file=/var/run/secrets/portcullis/token
{{- else if and .jwks.caConfigMap (not .jwks.existingConfigMap) }}
- --jwt-jwks-ca=/etc/portcullis/jwks-ca/ca.crt
{{- end }}
{{- if .allowPlaintext }}
- --allow-plaintext
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- /* The program refuses a share where nothing is sampled. */}}
{{- $isIdle := and (eq $name "decisionLogSample") (ne (toString $.Values.settings.decisionLog) "sampled") }}
{{- if not (or (kindIs "invalid" $value) $isIdle) }}
- {{ printf "--%s=%s" (kebabcase $name) (ternary "off" (include "portcullis.word" $value) (and (eq $name "decisionLog") (not $value))) | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
A value as a flag takes it. Numbers of values are floating-point numbers to Helm, which would write 1e+06; and `off`
without quotes is `false` in its YAML.
*/}}
{{- define "portcullis.word" -}}
{{- if kindIs "float64" . -}}
{{- if eq (floor .) . -}}{{ int64 . }}{{- else -}}{{ . | toString }}{{- end -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}
