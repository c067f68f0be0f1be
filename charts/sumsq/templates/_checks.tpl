{{/* Settings that each may be right and together are not: said before anything is installed. */}}
{{- define "sumsq.check" -}}
{{- $report := .Values.report -}}
{{- $placement := include "sumsq.reportPlacement" . -}}
{{- if not .Values.postgres.existingSecret -}}
{{- if or (gt (int .Values.replicas) 1) (gt (int .Values.shards) 1) -}}
{{- fail "replicas and shards beyond 1 need PostgreSQL, which several operators can share: set postgres.existingSecret. With SQLite there is one operator, on one volume." -}}
{{- end -}}
{{- if $report.postgres.existingSecret -}}
{{- fail "report.postgres is another way into the store of postgres.existingSecret: set that as well." -}}
{{- end -}}
{{- if eq $placement "Deployment" -}}
{{- fail "report.placement=Deployment needs PostgreSQL: set postgres.existingSecret. An SQLite store is read through memory that is shared with its writer, on the writer's node, so that its report server runs beside it (Sidecar)." -}}
{{- end -}}
{{- end -}}
{{- if and (eq $placement "Sidecar") (or $report.autoscaling.enabled (gt (int $report.replicas) 1)) -}}
{{- fail "report.replicas and report.autoscaling are for a report server with Pods of its own: set report.placement=Deployment, which needs PostgreSQL." -}}
{{- end -}}
{{- if not (include "sumsq.reportIsOpen" .) -}}
{{- if or $report.ingress.enabled $report.httpRoute.enabled -}}
{{- fail "report.ingress and report.httpRoute need a report server that can be reached: report.enabled, and report.auth.mode kubernetes or proxy." -}}
{{- end -}}
{{- end -}}
{{- with $report.auth -}}
{{- if and $report.enabled (eq .mode "proxy") (not .proxy.existingSecret) (not .proxy.clientCaSecret) -}}
{{- fail "report.auth.mode=proxy needs something by which the proxy is known: report.auth.proxy.existingSecret, or report.auth.proxy.clientCaSecret." -}}
{{- end -}}
{{- if and (eq .mode "proxy") .proxy.clientCaSecret (not (include "sumsq.tlsSecret" $)) -}}
{{- fail "report.auth.proxy.clientCaSecret needs TLS, in which client certificates are shown: set report.tls.existingSecret or report.tls.certManager.enabled." -}}
{{- end -}}
{{- end -}}
{{- $exposed := ne $report.service.type "ClusterIP" -}}
{{- if and $exposed (include "sumsq.reportAsks" .) (not (include "sumsq.tlsSecret" .)) (not $report.tls.endsBefore) -}}
{{- fail (printf "report.service.type=%s would have people's tokens go over the network in the clear: set report.tls.existingSecret or report.tls.certManager.enabled, or, where what is in front of the Service speaks TLS to them, report.tls.endsBefore." $report.service.type) -}}
{{- end -}}
{{- with $report.tls -}}
{{- if and .existingSecret .certManager.enabled -}}
{{- fail "report.tls.existingSecret and report.tls.certManager.enabled are two certificates: choose one." -}}
{{- end -}}
{{- if and .certManager.enabled (not .certManager.issuerRef.name) -}}
{{- fail "report.tls.certManager.issuerRef.name must name who signs the certificate." -}}
{{- end -}}
{{- end -}}
{{- if and .Values.tenantNamespaces (not (semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version)) -}}
{{- fail "tenantNamespaces needs Kubernetes 1.30 or later: what holds the operator to tokens for sts.amazonaws.com is a ValidatingAdmissionPolicy." -}}
{{- end -}}
{{- end -}}
