{{/*
What the schema cannot say: which values need each other, and which exclude each other. Each refusal is one line that
names the value and says what is accepted. `helm lint` does not stop at `fail`, so that it is clean over the defaults,
while install, upgrade and template stop here before anything is applied.
*/}}
{{- define "portcullis.validate" -}}
{{- include "portcullis.validateStore" . -}}
{{- include "portcullis.validateScale" . -}}
{{- include "portcullis.validateResources" . -}}
{{- include "portcullis.validateService" . -}}
{{- include "portcullis.validateTls" . -}}
{{- include "portcullis.validateAuth" . -}}
{{- include "portcullis.validateMatrix" . -}}
{{- include "portcullis.validateTimes" . -}}
{{- include "portcullis.validateExtras" . -}}
{{- end -}}

{{- define "portcullis.validateStore" -}}
{{- if and (eq .Values.store "postgres") (not .Values.database.existingSecret) -}}
{{- fail "database.existingSecret is not set: with store=postgres it has to name a Secret with the URL of the database in its key `url` (database.existingSecretKey); or try it out without a database, with store=memory" -}}
{{- end -}}
{{- if eq .Values.store "memory" -}}
{{- if .Values.database.existingSecret -}}
{{- fail "database.existingSecret is set, and store=memory has no database: set store=postgres, or leave it out" -}}
{{- end -}}
{{- if gt (include "portcullis.replicas" . | int64) 1 -}}
{{- fail (printf "replicaCount is %s: store=memory takes 1 at most, for each replica would have policies of its own; set store=postgres" (include "portcullis.replicas" .)) -}}
{{- end -}}
{{- if .Values.autoscaling.enabled -}}
{{- fail "autoscaling.enabled is true: store=memory takes 1 replica at most, for each would have policies of its own; set store=postgres" -}}
{{- end -}}
{{- end -}}
{{- with .Values.database.tlsCa -}}
{{- if and .existingConfigMap .existingSecret -}}
{{- fail "database.tlsCa.existingConfigMap and database.tlsCa.existingSecret are both set: set one of them" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.validateScale" -}}
{{- with .Values.autoscaling -}}
{{- if .enabled -}}
{{- if gt (int64 .minReplicas) (int64 .maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas is %d and autoscaling.maxReplicas is %d: the least cannot be more than the most" (int64 .minReplicas) (int64 .maxReplicas)) -}}
{{- end -}}
{{- if not (or .targetCPUUtilizationPercentage .targetMemoryUtilizationPercentage .metrics) -}}
{{- fail "autoscaling.enabled is true and nothing is measured: set autoscaling.targetCPUUtilizationPercentage, autoscaling.targetMemoryUtilizationPercentage or autoscaling.metrics" -}}
{{- end -}}
{{- if and .targetCPUUtilizationPercentage (not (dig "requests" "cpu" "" ($.Values.resources | default dict))) -}}
{{- fail "resources.requests.cpu is not set: autoscaling.targetCPUUtilizationPercentage is a share of it" -}}
{{- end -}}
{{- if and .targetMemoryUtilizationPercentage (not (dig "requests" "memory" "" ($.Values.resources | default dict))) -}}
{{- fail "resources.requests.memory is not set: autoscaling.targetMemoryUtilizationPercentage is a share of it" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.podDisruptionBudget -}}
{{- if .enabled -}}
{{- if not (or (kindIs "invalid" .minAvailable) (kindIs "invalid" .maxUnavailable)) -}}
{{- fail "podDisruptionBudget.minAvailable and podDisruptionBudget.maxUnavailable are both set: set one of them, and the other to null" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.updateStrategy -}}
{{- if and (ne .type "Recreate") .rollingUpdate -}}
{{- if and (has (toString .rollingUpdate.maxSurge) (list "0" "0%")) (has (toString .rollingUpdate.maxUnavailable) (list "0" "0%")) -}}
{{- fail "updateStrategy.rollingUpdate.maxSurge and updateStrategy.rollingUpdate.maxUnavailable are both 0: no pod could ever be replaced" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The API server refuses these too, but only when the migration has run already.
*/}}
{{- define "portcullis.validateResources" -}}
{{- $all := dict "resources" .Values.resources "migration.resources" .Values.migration.resources "tests.resources" .Values.tests.resources -}}
{{- range $path, $resources := $all -}}
{{- range $name := list "cpu" "memory" "ephemeral-storage" -}}
{{- $request := dig "requests" $name "" ($resources | default dict) | toString -}}
{{- $limit := dig "limits" $name "" ($resources | default dict) | toString -}}
{{- if and $request $limit (gt (include "portcullis.quantity" $request | float64) (include "portcullis.quantity" $limit | float64)) -}}
{{- fail (printf "%s.requests.%s is %s, and %s.limits.%s is less: %s" $path $name $request $path $name $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.validateService" -}}
{{- with .Values.service -}}
{{- if eq .type "ClusterIP" -}}
{{- if .nodePort -}}
{{- fail "service.nodePort is set, and service.type is ClusterIP: set service.type to NodePort or LoadBalancer" -}}
{{- end -}}
{{- if .externalTrafficPolicy -}}
{{- fail "service.externalTrafficPolicy is set, and service.type is ClusterIP: set service.type to NodePort or LoadBalancer" -}}
{{- end -}}
{{- if eq (int64 .port) (int64 .httpPort) -}}
{{- fail (printf "service.port and service.httpPort are both %d: a service has each port once" (int64 .port)) -}}
{{- end -}}
{{- end -}}
{{- if ne .type "LoadBalancer" -}}
{{- if .loadBalancerClass -}}
{{- fail (printf "service.loadBalancerClass is set, and service.type is %s: set service.type to LoadBalancer" .type) -}}
{{- end -}}
{{- if .loadBalancerSourceRanges -}}
{{- fail (printf "service.loadBalancerSourceRanges is set, and service.type is %s: set service.type to LoadBalancer" .type) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.validateTls" -}}
{{- with .Values.tls -}}
{{- if and .existingSecret .certManager.enabled -}}
{{- fail "tls.existingSecret and tls.certManager.enabled are both set: a certificate comes from one of them" -}}
{{- end -}}
{{- if and .certManager.enabled (not .certManager.issuerRef.name) -}}
{{- fail "tls.certManager.issuerRef.name is not set: with tls.certManager.enabled it has to name an Issuer or ClusterIssuer" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.validateAuth" -}}
{{- $tls := include "portcullis.hasTls" . -}}
{{- $mtls := include "portcullis.hasMtls" . -}}
{{- $jwt := include "portcullis.hasJwt" . -}}
{{- with .Values.auth -}}
{{- if eq .mode "none" -}}
{{- if or $.Values.callers .existingCallersConfigMap -}}
{{- fail "callers are given, and auth.mode is none, by which whoever can connect may do everything: set auth.mode to mtls, jwt or mtls,jwt" -}}
{{- end -}}
{{- else -}}
{{- if and $.Values.callers .existingCallersConfigMap -}}
{{- fail "callers and auth.existingCallersConfigMap are both set: set one of them" -}}
{{- end -}}
{{- if not (or $.Values.callers .existingCallersConfigMap) -}}
{{- fail (printf "callers is empty: with auth.mode=%s nobody could call; list who may, `callers: [{id: …, roles: [check]}]`, or set auth.existingCallersConfigMap" .mode) -}}
{{- end -}}
{{- end -}}
{{- if $mtls -}}
{{- if not $tls -}}
{{- fail (printf "auth.mode=%s needs TLS: set tls.existingSecret, or tls.certManager.enabled" .mode) -}}
{{- end -}}
{{- if and .mtls.existingSecret .mtls.existingConfigMap -}}
{{- fail "auth.mtls.existingSecret and auth.mtls.existingConfigMap are both set: set one of them" -}}
{{- end -}}
{{- if not (or .mtls.existingSecret .mtls.existingConfigMap) -}}
{{- fail (printf "auth.mtls.existingSecret is not set: with auth.mode=%s it, or auth.mtls.existingConfigMap, has to name the authorities of client certificates, in its key `%s` (auth.mtls.key)" .mode .mtls.key) -}}
{{- end -}}
{{- else if or .mtls.existingSecret .mtls.existingConfigMap .mtls.trustDomain -}}
{{- fail (printf "auth.mtls is set, and auth.mode is %s: set auth.mode to mtls or mtls,jwt" .mode) -}}
{{- end -}}
{{- if $jwt -}}
{{- if not .jwt.issuer -}}
{{- fail (printf "auth.jwt.issuer is not set: with auth.mode=%s it has to be the issuer that tokens name; that of the cluster's own is in `kubectl get --raw /.well-known/openid-configuration`" .mode) -}}
{{- end -}}
{{- if and $tls .jwt.allowPlaintext -}}
{{- fail "auth.jwt.allowPlaintext is true, and the server has a certificate: set it to false" -}}
{{- end -}}
{{- if not (or $tls .jwt.allowPlaintext) -}}
{{- fail (printf "auth.mode=%s needs TLS, for whoever reads a token can use it: set tls.existingSecret or tls.certManager.enabled; or auth.jwt.allowPlaintext where a mesh encrypts" .mode) -}}
{{- end -}}
{{- with .jwt.jwks -}}
{{- if and .inCluster (not .existingConfigMap) (not (regexMatch "^https://kubernetes\\.default\\.svc(\\.[a-z0-9.-]+)?(:[0-9]+)?/" .url)) -}}
{{- fail (printf "auth.jwt.jwks.url is `%s`, and auth.jwt.jwks.inCluster would show it the pod's token: set auth.jwt.jwks.inCluster to false, or use an address of `https://kubernetes.default.svc`" .url) -}}
{{- end -}}
{{- if and .caConfigMap (or .inCluster .existingConfigMap) -}}
{{- fail "auth.jwt.jwks.caConfigMap is for an address outside of the cluster: set auth.jwt.jwks.inCluster to false, and auth.jwt.jwks.url" -}}
{{- end -}}
{{- end -}}
{{- else if .jwt.issuer -}}
{{- fail (printf "auth.jwt.issuer is set, and auth.mode is %s: set auth.mode to jwt or mtls,jwt" .mode) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.tests.clientCertificateSecret (not $mtls) -}}
{{- fail "tests.clientCertificateSecret is set, and auth.mode asks for no client certificate: set auth.mode to mtls or mtls,jwt" -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.validateMatrix" -}}
{{- with .Values.matrix -}}
{{- if and .content .existingConfigMap -}}
{{- fail "matrix.content and matrix.existingConfigMap are both set: set one of them" -}}
{{- end -}}
{{- if .content -}}
{{- $matrix := fromYaml .content -}}
{{- with get $matrix "Error" -}}
{{- fail (printf "matrix.content is not YAML: %s" .) -}}
{{- end -}}
{{- if or (ne (keys $matrix | join ",") "features") (not (kindIs "slice" $matrix.features)) -}}
{{- fail "matrix.content has to have one key, `features`, with a list of features: `portcullis matrix` prints the built-in matrix" -}}
{{- end -}}
{{- $seen := dict -}}
{{- range $index, $row := $matrix.features -}}
{{- include "portcullis.validateFeature" (dict "index" $index "row" $row) -}}
{{- if hasKey $seen $row.feature -}}
{{- fail (printf "matrix.content: the feature `%s` is there twice" $row.feature) -}}
{{- end -}}
{{- $_ := set $seen $row.feature true -}}
{{- end -}}
{{- range list "services.order" "pricing.view" "maintenance_notifications.receive" "security_notifications.receive" -}}
{{- if not (hasKey $seen .) -}}
{{- fail (printf "matrix.content has no feature `%s`, which the service needs" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.validateFeature" -}}
{{- if not (kindIs "map" .row) -}}
{{- fail (printf "matrix.content: features[%d] is no mapping" .index) -}}
{{- end -}}
{{- $feature := get .row "feature" | toString -}}
{{- if not (regexMatch "^[a-z][a-z0-9_]{0,31}\\.[a-z][a-z0-9_]{0,31}$" $feature) -}}
{{- fail (printf "matrix.content: features[%d].feature is `%s`: a key such as `pricing.view` is accepted" .index $feature) -}}
{{- end -}}
{{- $audiences := list "direct" "partner" "managed_partner_supported" "managed_platform_supported" -}}
{{- range $key, $_ := .row -}}
{{- if not (has $key (concat $audiences (list "feature" "description" "requires"))) -}}
{{- fail (printf "matrix.content: `%s` has an unknown key `%s`" $feature $key) -}}
{{- end -}}
{{- end -}}
{{- range $audience := $audiences -}}
{{- $rule := get $.row $audience | toString -}}
{{- $accepted := hasPrefix "managed" $audience | ternary (list "allow" "deny" "on" "off" "true" "false") (list "allow" "deny") -}}
{{- if not (has $rule $accepted) -}}
{{- fail (printf "matrix.content: the rule of `%s` for `%s` is `%s`: accepted are %s" $feature $audience $rule (hasPrefix "managed" $audience | ternary "allow, deny, on and off" "allow and deny")) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Times are compared with each other here; the program would not start with these, and a release would hang.
*/}}
{{- define "portcullis.validateTimes" -}}
{{- with .Values.settings -}}
{{- range $name, $value := . -}}
{{- if and (kindIs "string" $value) (regexMatch "^[0-9]+(ms|s|m|h)$" $value) -}}
{{- if gt (include "portcullis.milliseconds" $value | int64) 86400000 -}}
{{- fail (printf "settings.%s is %s: at most 24h is accepted" $name $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if gt (include "portcullis.milliseconds" .staleAfter | int64) (include "portcullis.milliseconds" .maxStale | int64) -}}
{{- fail (printf "settings.staleAfter is %s and settings.maxStale is %s: it has to be the shorter one" .staleAfter .maxStale) -}}
{{- end -}}
{{- if gt (include "portcullis.milliseconds" .pollInterval | int64) (include "portcullis.milliseconds" .staleAfter | int64) -}}
{{- fail (printf "settings.pollInterval is %s and settings.staleAfter is %s: it has to be the shorter one, or no answer would ever be fresh" .pollInterval .staleAfter) -}}
{{- end -}}
{{- end -}}
{{- $drain := include "portcullis.drainSeconds" . | int64 -}}
{{- if le (include "portcullis.terminationSeconds" . | int64) $drain -}}
{{- fail (printf "terminationGracePeriodSeconds is %s: it has to be more than the %d seconds of settings.shutdownDelay and settings.shutdownGrace, or calls are cut" (include "portcullis.terminationSeconds" .) $drain) -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.validateExtras" -}}
{{- $given := dict -}}
{{- range include "portcullis.ownArgs" . | fromYamlArray -}}
{{- $_ := set $given (splitList "=" . | first) true -}}
{{- end -}}
{{- range .Values.extraArgs -}}
{{- $flag := splitList "=" . | first -}}
{{- if hasKey $given $flag -}}
{{- fail (printf "extraArgs has %s, which the chart gives already: set its value instead" $flag) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- $flag := printf "--%s" (trimPrefix "PORTCULLIS_" .name | lower | replace "_" "-") -}}
{{- if and (hasPrefix "PORTCULLIS_" .name) (hasKey $given $flag) -}}
{{- fail (printf "extraEnv has %s, and the chart gives the flag %s, which goes first: set its value instead" .name $flag) -}}
{{- end -}}
{{- end -}}
{{- $volumes := dict -}}
{{- range include "portcullis.ownVolumes" . | fromYamlArray -}}
{{- $_ := set $volumes .name true -}}
{{- end -}}
{{- range .Values.extraVolumes -}}
{{- if hasKey $volumes .name -}}
{{- fail (printf "extraVolumes has `%s`, and there is a volume of that name already: give it another" .name) -}}
{{- end -}}
{{- $_ := set $volumes .name true -}}
{{- end -}}
{{- $paths := dict -}}
{{- range include "portcullis.ownMounts" . | fromYamlArray -}}
{{- $_ := set $paths .mountPath true -}}
{{- end -}}
{{- range .Values.extraVolumeMounts -}}
{{- if not (hasKey $volumes .name) -}}
{{- fail (printf "extraVolumeMounts has `%s`, and there is no volume of that name: add it to extraVolumes" .name) -}}
{{- end -}}
{{- if hasKey $paths .mountPath -}}
{{- fail (printf "extraVolumeMounts has %s, where something is mounted already: mount it elsewhere" .mountPath) -}}
{{- end -}}
{{- $_ := set $paths .mountPath true -}}
{{- end -}}
{{- end -}}
