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

{{- define "sumsq.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sumsq.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sumsq.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "sumsq.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "sumsq.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sumsq.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "sumsq.claimName" -}}
{{- default (include "sumsq.fullname" .) .Values.persistence.existingClaim -}}
{{- end -}}

{{/* Where the store is, for every container that opens it. */}}
{{- define "sumsq.storeEnv" -}}
{{- with .Values.postgres -}}
{{- if .existingSecret -}}
- name: SUMSQ_STORE
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret | quote }}
      key: {{ .urlKey | quote }}
{{- with .passwordKey }}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ $.Values.postgres.existingSecret | quote }}
      key: {{ . | quote }}
{{- end }}
{{- if .caSecret }}
- name: PGSSLROOTCERT
  value: {{ printf "/etc/sumsq/postgres/%s" .caKey | quote }}
{{- end }}
{{- else -}}
- name: SUMSQ_STORE
  value: {{ $.Values.controller.store | quote }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The volume of SQLite, or the certificate that PostgreSQL is verified by. */}}
{{- define "sumsq.storeMounts" -}}
{{- if not .Values.postgres.existingSecret -}}
- name: store
  mountPath: /var/lib/sumsq
{{- else if .Values.postgres.caSecret -}}
- name: postgres-ca
  mountPath: /etc/sumsq/postgres
  readOnly: true
{{- end -}}
{{- end -}}

{{- define "sumsq.storeVolumes" -}}
{{- if not .Values.postgres.existingSecret -}}
- name: store
  persistentVolumeClaim:
    claimName: {{ include "sumsq.claimName" . }}
{{- else if .Values.postgres.caSecret -}}
- name: postgres-ca
  secret:
    secretName: {{ .Values.postgres.caSecret | quote }}
    items:
      - key: {{ .Values.postgres.caKey | quote }}
        path: {{ .Values.postgres.caKey | quote }}
{{- end -}}
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

{{/* SQLite is one file on one volume: there is nothing for a second operator to do. */}}
{{- define "sumsq.checkReplicas" -}}
{{- if not .Values.postgres.existingSecret -}}
{{- if or (gt (int .Values.replicas) 1) (gt (int .Values.shards) 1) -}}
{{- fail "replicas and shards beyond 1 need PostgreSQL, which several operators can share: set postgres.existingSecret. With SQLite there is one operator, on one volume." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The Deployment of reports, or of the first shard. */}}
{{- define "sumsq.firstDeployment" -}}
{{- include "sumsq.fullname" . }}{{ if gt (int .Values.shards) 1 }}-1{{ end }}
{{- end -}}
