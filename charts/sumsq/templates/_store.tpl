{{/*
Where the store is, for every container that opens it. Context: root, and the block of values that names
the Secret with the address: `postgres`, or `report.postgres` where that names one.
*/}}
{{- define "sumsq.storeEnv" -}}
{{- $root := index . 0 -}}
{{- $login := index . 1 -}}
{{- with $root.Values.postgres -}}
{{- if .existingSecret -}}
- name: SUMSQ_STORE
  valueFrom:
    secretKeyRef:
      name: {{ $login.existingSecret | quote }}
      key: {{ $login.urlKey | quote }}
{{- with $login.passwordKey }}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ $login.existingSecret | quote }}
      key: {{ . | quote }}
{{- end }}
{{- if .caSecret }}
- name: PGSSLROOTCERT
  value: {{ printf "/etc/sumsq/postgres/%s" .caKey | quote }}
{{- end }}
{{- else -}}
- name: SUMSQ_STORE
  value: {{ $root.Values.controller.store | quote }}
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
