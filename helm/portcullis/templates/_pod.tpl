{{/*
The volumes of the server. Whole folders and no subPath, which would never be updated: that is how what is reloaded
without a restart comes to the program.
*/}}
{{- define "portcullis.volumes" -}}
{{ include "portcullis.ownVolumes" . }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "portcullis.ownVolumes" -}}
{{- if eq .Values.store "postgres" }}
{{- with .Values.database }}
{{ include "portcullis.databaseVolumes" (dict "root" $ "secret" .existingSecret "key" .existingSecretKey) }}
{{- end }}
{{- end }}
{{- with .Values.matrix }}
{{- if or .content .existingConfigMap }}
- name: matrix
  configMap:
    name: {{ .existingConfigMap | default (printf "%s-matrix" (include "portcullis.fullname" $)) }}
    items:
      - key: {{ empty .existingConfigMap | ternary "matrix.yaml" .existingConfigMapKey }}
        path: matrix.yaml
{{- end }}
{{- end }}
{{- if include "portcullis.hasTls" . }}
- name: tls
  secret:
    secretName: {{ include "portcullis.tlsSecret" . }}
    defaultMode: 288 # 0440
    items:
      - key: tls.crt
        path: tls.crt
      - key: tls.key
        path: tls.key
{{- end }}
{{- with .Values.auth }}
{{- if ne .mode "none" }}
- name: callers
  configMap:
    name: {{ .existingCallersConfigMap | default (printf "%s-callers" (include "portcullis.fullname" $)) }}
    items:
      - key: {{ empty .existingCallersConfigMap | ternary "callers.yaml" .existingCallersConfigMapKey }}
        path: callers.yaml
{{- end }}
{{- if include "portcullis.hasMtls" $ }}
{{ include "portcullis.authorities" (dict "name" "client-ca" "from" .mtls) }}
{{- end }}
{{- if include "portcullis.hasJwt" $ }}
{{- if .jwt.jwks.existingConfigMap }}
- name: jwks
  configMap:
    name: {{ .jwt.jwks.existingConfigMap }}
    items:
      - key: {{ .jwt.jwks.existingConfigMapKey }}
        path: jwks.json
{{- else if .jwt.jwks.inCluster }}
{{- /* Without an audience the token is for the API server, which answers who may read its keys. */}}
- name: cluster
  projected:
    defaultMode: 288 # 0440
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
{{- else if .jwt.jwks.caConfigMap }}
{{ include "portcullis.authorities" (dict "name" "jwks-ca" "from" (dict "existingSecret" "" "existingConfigMap" .jwt.jwks.caConfigMap "key" .jwt.jwks.caConfigMapKey)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "portcullis.mounts" -}}
{{ include "portcullis.ownMounts" . }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "portcullis.ownMounts" -}}
{{- if eq .Values.store "postgres" }}
{{ include "portcullis.databaseMounts" . }}
{{- end }}
{{- if or .Values.matrix.content .Values.matrix.existingConfigMap }}
{{ include "portcullis.mount" "matrix" }}
{{- end }}
{{- if include "portcullis.hasTls" . }}
{{ include "portcullis.mount" "tls" }}
{{- end }}
{{- if ne .Values.auth.mode "none" }}
{{ include "portcullis.mount" "callers" }}
{{- end }}
{{- if include "portcullis.hasMtls" . }}
{{ include "portcullis.mount" "client-ca" }}
{{- end }}
{{- if include "portcullis.hasJwt" . }}
{{- with .Values.auth.jwt.jwks }}
{{- if .existingConfigMap }}
{{ include "portcullis.mount" "jwks" }}
{{- else if .inCluster }}
- name: cluster
  mountPath: /var/run/secrets/portcullis
  readOnly: true
{{- else if .caConfigMap }}
{{ include "portcullis.mount" "jwks-ca" }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "portcullis.mount" -}}
- name: {{ . }}
  mountPath: /etc/portcullis/{{ . }}
  readOnly: true
{{- end -}}

{{/*
The variables of the server. What is empty is left out: an empty variable is still one that is set.
*/}}
{{- define "portcullis.env" -}}
{{- with .Values.tracing }}
{{- if .otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .otlpEndpoint | quote }}
- name: OTEL_TRACES_SAMPLER
  value: {{ .sampler }}
{{- with .samplerArg }}
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ . | quote }}
{{- end }}
{{- /* So that a trace tells of which pod it is. The second is expanded by the kubelet, from the first. */}}
- name: KUBERNETES_POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name={{ $.Release.Namespace }},k8s.pod.name=$(KUBERNETES_POD_NAME)
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
How pods are spread: evenly, but never so strictly that one is not placed at all. By the hash of the pod's template,
so that pods of an old version do not count while it is replaced.
*/}}
{{- define "portcullis.spread" -}}
{{- if kindIs "invalid" .Values.topologySpreadConstraints }}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- topologyKey: {{ . }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "portcullis.identity" (dict "root" $ "component" "server") | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- else }}
{{- /* Without a selector a constraint counts no pod, and so spreads none. */}}
{{- $selector := dict "matchLabels" (include "portcullis.identity" (dict "root" . "component" "server") | fromYaml) }}
{{- range .Values.topologySpreadConstraints }}
{{ list (merge (dict) . (dict "labelSelector" $selector)) | toYaml }}
{{- end }}
{{- end }}
{{- end -}}
