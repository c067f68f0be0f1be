{{/* The report server, in the operator's Pods or in its own. */}}
{{- define "sumsq.reportContainer" -}}
{{- $auth := .Values.report.auth -}}
{{- $open := include "sumsq.reportIsOpen" . -}}
{{- $asks := include "sumsq.reportAsks" . -}}
{{- $tls := include "sumsq.tlsSecret" . -}}
{{- $sidecar := eq (include "sumsq.reportPlacement" .) "Sidecar" -}}
- name: report
  image: {{ include "sumsq.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [report]
  env:
    {{- include "sumsq.storeEnv" (list . (ternary .Values.report.postgres .Values.postgres (ne .Values.report.postgres.existingSecret ""))) | nindent 4 }}
    {{- if not $open }}
    # Within the Pod alone: who may `kubectl port-forward` may read.
    {{- end }}
    - name: SUMSQ_LISTEN
      value: {{ ternary "0.0.0.0" "127.0.0.1" (ne $open "") }}:8080
    - name: SUMSQ_PROBE_LISTEN
      value: 0.0.0.0:8082
    - name: SUMSQ_AUTH
      value: {{ $auth.mode | quote }}
    {{- if and (not $asks) $auth.insecureNoAuth }}
    - name: SUMSQ_INSECURE_NO_AUTH
      value: "true"
    {{- end }}
    {{- if $asks }}
    - name: SUMSQ_COOKIE_KEY
      value: /etc/sumsq/cookie/key
    {{- end }}
    {{- if eq $auth.mode "proxy" }}
    {{- if $auth.proxy.existingSecret }}
    - name: SUMSQ_PROXY_SECRET
      value: /etc/sumsq/proxy/secret
    {{- with $auth.proxy.secretHeader }}
    - name: SUMSQ_PROXY_SECRET_HEADER
      value: {{ . | quote }}
    {{- end }}
    {{- end }}
    {{- if $auth.proxy.clientCaSecret }}
    - name: SUMSQ_PROXY_CLIENT_CA
      value: /etc/sumsq/proxy-ca/ca.crt
    {{- end }}
    {{- with $auth.proxy.userHeader }}
    - name: SUMSQ_PROXY_USER_HEADER
      value: {{ . | quote }}
    {{- end }}
    {{- with $auth.proxy.groupsHeader }}
    - name: SUMSQ_PROXY_GROUPS_HEADER
      value: {{ . | quote }}
    {{- end }}
    {{- end }}
    {{- if $tls }}
    - name: SUMSQ_TLS_CERT
      value: /etc/sumsq/tls/tls.crt
    - name: SUMSQ_TLS_KEY
      value: /etc/sumsq/tls/tls.key
    {{- end }}
    - name: SUMSQ_LOG_FORMAT
      value: {{ .Values.report.logFormat | quote }}
    # One heap for all threads: a fifth less memory at the same speed, as measured.
    - name: MALLOC_ARENA_MAX
      value: "1"
    {{- with .Values.report.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.report.extraEnvFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    {{- if $open }}
    - name: report
      containerPort: 8080
      protocol: TCP
    {{- end }}
    - name: report-probes
      containerPort: 8082
      protocol: TCP
  livenessProbe:
    httpGet:
      path: /healthz
      port: report-probes
    periodSeconds: 20
    timeoutSeconds: 5
  # Ready: the controller has made the store, and it answers.
  readinessProbe:
    httpGet:
      path: /readyz
      port: report-probes
    periodSeconds: 5
    timeoutSeconds: 5
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  {{- with .Values.report.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    # Opened for reading only; readers of SQLite's log leave marks beside it.
    {{- with include "sumsq.storeMounts" . }}
    {{- . | nindent 4 }}
    {{- end }}
    - name: report-tmp
      mountPath: /tmp
    {{- if $asks }}
    - name: cookie-key
      mountPath: /etc/sumsq/cookie
      readOnly: true
    {{- end }}
    {{- if eq $auth.mode "proxy" }}
    {{- if $auth.proxy.existingSecret }}
    - name: proxy-secret
      mountPath: /etc/sumsq/proxy
      readOnly: true
    {{- end }}
    {{- if $auth.proxy.clientCaSecret }}
    - name: proxy-ca
      mountPath: /etc/sumsq/proxy-ca
      readOnly: true
    {{- end }}
    {{- end }}
    {{- if $tls }}
    - name: report-tls
      mountPath: /etc/sumsq/tls
      readOnly: true
    {{- end }}
    {{- if $sidecar }}
    # In the place of the token of the Pod's account, which is the operator's and may read Secrets.
    - name: {{ ternary "report-token" "no-token" (ne $asks "") }}
      mountPath: /var/run/secrets/kubernetes.io/serviceaccount
      readOnly: true
    {{- end }}
    {{- with .Values.report.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- with .Values.report.extraContainers }}
{{ if $sidecar }}{{ include "sumsq.strangers" . }}{{ else }}{{ toYaml . }}{{ end }}
{{- end }}
{{- end -}}

{{- define "sumsq.reportVolumes" -}}
{{- $auth := .Values.report.auth -}}
{{- $asks := include "sumsq.reportAsks" . -}}
# What SQLite sorts beyond its memory.
- name: report-tmp
  emptyDir:
    sizeLimit: 256Mi
{{- if $asks }}
- name: cookie-key
  secret:
    secretName: {{ include "sumsq.cookieSecret" . | quote }}
    items:
      - key: {{ $auth.cookieKey.key | quote }}
        path: key
{{- end }}
{{- if eq $auth.mode "proxy" }}
{{- if $auth.proxy.existingSecret }}
- name: proxy-secret
  secret:
    secretName: {{ $auth.proxy.existingSecret | quote }}
    items:
      - key: {{ $auth.proxy.secretKey | quote }}
        path: secret
{{- end }}
{{- if $auth.proxy.clientCaSecret }}
- name: proxy-ca
  secret:
    secretName: {{ $auth.proxy.clientCaSecret | quote }}
    items:
      - key: {{ $auth.proxy.clientCaKey | quote }}
        path: ca.crt
{{- end }}
{{- end }}
{{- with include "sumsq.tlsSecret" . }}
- name: report-tls
  secret:
    secretName: {{ . | quote }}
{{- end }}
{{- if eq (include "sumsq.reportPlacement" .) "Sidecar" }}
{{- if $asks }}
# Not there before Kubernetes has put a token into it: the Pod waits for these.
- name: report-token
  secret:
    secretName: {{ include "sumsq.reportName" . }}-token
    items:
      - {key: token, path: token}
      - {key: ca.crt, path: ca.crt}
      - {key: namespace, path: namespace}
{{- end }}
{{- end }}
{{- with .Values.report.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
