{{- define "sumsq.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "sumsq.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "sumsq.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sumsq.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The operator's Pods. A Deployment's selector can't be changed: nothing is added here. */}}
{{- define "sumsq.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sumsq.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The report server's Pods, where it has its own: none of the operator's selectors chooses them. */}}
{{- define "sumsq.reportSelectorLabels" -}}
app.kubernetes.io/name: {{ printf "%s-report" (include "sumsq.name" . | trunc 56 | trimSuffix "-") }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sumsq.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{/* Whatever nameOverride says: by this `kubectl sumsq` and people find the Pods. */ -}}
app.kubernetes.io/part-of: sumsq
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "sumsq.labels" -}}
{{ include "sumsq.selectorLabels" . }}
{{ include "sumsq.commonLabels" . }}
{{- end -}}

{{- define "sumsq.reportLabels" -}}
{{ include "sumsq.reportSelectorLabels" . }}
{{ include "sumsq.commonLabels" . }}
{{- end -}}

{{/* Of the Pods in which the report server runs. */}}
{{- define "sumsq.reportPodSelector" -}}
{{- if eq (include "sumsq.reportPlacement" .) "Deployment" -}}
{{ include "sumsq.reportSelectorLabels" . }}
{{- else -}}
{{ include "sumsq.selectorLabels" . }}
{{- end -}}
{{- end -}}

{{- define "sumsq.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sumsq.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "sumsq.reportName" -}}
{{- printf "%s-report" (include "sumsq.fullname" . | trunc 56 | trimSuffix "-") -}}
{{- end -}}

{{- define "sumsq.reportAccountName" -}}
{{- if .Values.report.serviceAccount.create -}}
{{- default (include "sumsq.reportName" .) .Values.report.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.report.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "sumsq.claimName" -}}
{{- default (include "sumsq.fullname" .) .Values.persistence.existingClaim -}}
{{- end -}}

{{- define "sumsq.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The role lies in no namespace or in the watched one, where it meets those of other installations. */}}
{{- define "sumsq.roleName" -}}
{{- printf "%s-%s" .Release.Namespace (include "sumsq.fullname" .) | trunc 253 | trimSuffix "-" -}}
{{- end -}}

{{/* The Deployment of the operator, or of its first shard. */}}
{{- define "sumsq.firstDeployment" -}}
{{- include "sumsq.fullname" . }}{{ if gt (int .Values.shards) 1 }}-1{{ end }}
{{- end -}}

{{/* Sidecar or Deployment; empty where there is no report server. */}}
{{- define "sumsq.reportPlacement" -}}
{{- if .Values.report.enabled -}}
{{- default (ternary "Deployment" "Sidecar" (ne .Values.postgres.existingSecret "")) .Values.report.placement -}}
{{- end -}}
{{- end -}}

{{/* Whether anybody but the Pod itself may connect to the reports; empty: no. */}}
{{- define "sumsq.reportIsOpen" -}}
{{- if and .Values.report.enabled (or (ne .Values.report.auth.mode "none") .Values.report.auth.insecureNoAuth) -}}
true
{{- end -}}
{{- end -}}

{{/* Whether the report server asks the API server who somebody is and what they may; empty: no. */}}
{{- define "sumsq.reportAsks" -}}
{{- if and .Values.report.enabled (ne .Values.report.auth.mode "none") -}}
true
{{- end -}}
{{- end -}}

{{/* The Secret with the report server's certificate; empty: it speaks plain HTTP. */}}
{{- define "sumsq.tlsSecret" -}}
{{- with .Values.report.tls -}}
{{- if .existingSecret -}}
{{- .existingSecret -}}
{{- else if .certManager.enabled -}}
{{- printf "%s-tls" (include "sumsq.reportName" $) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the report server speaks: https or http. */}}
{{- define "sumsq.scheme" -}}
{{- ternary "https" "http" (ne (include "sumsq.tlsSecret" .) "") -}}
{{- end -}}

{{- define "sumsq.cookieSecret" -}}
{{- default (printf "%s-cookie-key" (include "sumsq.reportName" .)) .Values.report.auth.cookieKey.existingSecret -}}
{{- end -}}

{{/* A folder of its own for rows put aside; empty: beside the SQLite store. */}}
{{- define "sumsq.spillDir" -}}
{{- if .Values.controller.spillDir -}}
{{- .Values.controller.spillDir -}}
{{- else if .Values.postgres.existingSecret -}}
/var/spill/sumsq
{{- end -}}
{{- end -}}

{{/* ClusterRoles for people have one owner in a cluster, as the definitions have. */}}
{{- define "sumsq.userRoles" -}}
{{- $asked := .Values.rbac.userRoles -}}
{{- if kindIs "bool" $asked -}}
{{- if $asked }}true{{ end -}}
{{- else if .Values.crds.install -}}
true
{{- end -}}
{{- end -}}

{{/* Constraints of topology: those that choose no Pods choose these. Context: list of constraints, labels. */}}
{{- define "sumsq.topologySpread" -}}
{{- $labels := index . 1 | fromYaml -}}
{{- $constraints := list -}}
{{- range index . 0 -}}
{{- $constraints = append $constraints (merge (dict) . (dict "labelSelector" (dict "matchLabels" $labels))) -}}
{{- end -}}
{{- toYaml $constraints -}}
{{- end -}}

{{/*
Whether an earlier revision of this release has made an object that is kept: one that has left the
manifests is nobody's, and `helm rollback` to that revision would fail over it. Context: root, API
version, kind, name. Empty: no.
*/}}
{{- define "sumsq.kept" -}}
{{- $root := index . 0 -}}
{{- $object := lookup (index . 1) (index . 2) $root.Release.Namespace (index . 3) | default dict -}}
{{- $annotations := dig "metadata" "annotations" dict $object | default dict -}}
{{- if and (eq (get $annotations "helm.sh/resource-policy") "keep") (eq (get $annotations "meta.helm.sh/release-name") $root.Release.Name) -}}
true
{{- end -}}
{{- end -}}

{{/*
Whether this release makes the policy that holds the operator to tokens for AWS; empty: no. It belongs to
no namespace: an installation for one namespace, which may lack the right to make it, makes it only where
it asks for tokens.
*/}}
{{- define "sumsq.tokenPolicy" -}}
{{- $known := semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version -}}
{{- if and .Values.rbac.create $known (or .Values.tenantNamespaces (not .Values.namespace)) -}}
true
{{- end -}}
{{- end -}}

{{/*
Containers of somebody else's beside the operator. The Pod's token is the operator's, which may read
Secrets: in its place they find an empty folder, unless they mount something of their own there. Context:
list of containers.
*/}}
{{- define "sumsq.strangers" -}}
{{- $token := "/var/run/secrets/kubernetes.io/serviceaccount" -}}
{{- $strangers := list -}}
{{- range . -}}
{{- $mounts := .volumeMounts | default list -}}
{{- $own := false -}}
{{- range $mounts -}}
{{- if eq (trimSuffix "/" .mountPath) $token -}}{{- $own = true -}}{{- end -}}
{{- end -}}
{{- if not $own -}}
{{- $mounts = append $mounts (dict "name" "no-token" "mountPath" $token "readOnly" true) -}}
{{- end -}}
{{- $strangers = append $strangers (merge (dict "volumeMounts" $mounts) .) -}}
{{- end -}}
{{- toYaml $strangers -}}
{{- end -}}

{{/* Containers beside the operator that are not the operator, by name and separated by commas. */}}
{{- define "sumsq.besideTheOperator" -}}
{{- $names := list -}}
{{- if eq (include "sumsq.reportPlacement" .) "Sidecar" -}}
{{- $names = append $names "report" -}}
{{- range .Values.report.extraContainers -}}{{- $names = append $names .name -}}{{- end -}}
{{- end -}}
{{- range .Values.controller.extraContainers -}}{{- $names = append $names .name -}}{{- end -}}
{{- join "," $names -}}
{{- end -}}
