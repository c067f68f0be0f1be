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
