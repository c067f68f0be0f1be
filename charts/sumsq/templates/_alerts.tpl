{{/* The rules of files/alerts.yaml, which are read as data: what is in double braces there is Prometheus' own. */}}
{{- define "sumsq.alerts" -}}
{{- $leaders := list -}}
{{- $shards := int .Values.shards -}}
{{- range $shard := untilStep 1 (add1 $shards | int) 1 -}}
{{- $named := printf "%d/%d" $shard $shards -}}
{{- $absent := printf "absent(sumsq_leader{namespace=%q, shard=%q} == 1)" $.Release.Namespace $named -}}
{{- $leaders = append $leaders (printf "label_replace(%s, \"shard\", %q, \"\", \"\")" $absent $named) -}}
{{- end -}}
{{- $settings := .Values.metrics.prometheusRule -}}
{{- $text := .Files.Get "files/alerts.yaml" -}}
{{- $text = $text | replace "$(namespace)" .Release.Namespace | replace "$(claim)" (include "sumsq.claimName" .) -}}
{{- $text = $text | replace "$(leaders)" (join "\n      or " $leaders) -}}
{{- $rules := list -}}
{{- range $rule := $text | fromYamlArray -}}
{{- $skipped := has $rule.alert $settings.disabled -}}
{{- if and (eq $rule.alert "SumsqVolumeFilling") $.Values.postgres.existingSecret -}}
{{- $skipped = true -}}
{{- end -}}
{{- if and (has $rule.alert (list "SumsqReportServerDown" "SumsqCertificateStale")) (not $.Values.report.enabled) -}}
{{- $skipped = true -}}
{{- end -}}
{{- if not $skipped -}}
{{- $_ := set $rule "labels" (merge (dict) $settings.alertLabels $rule.labels) -}}
{{- with tpl $settings.runbookUrl $ | trimSuffix "/" -}}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s/%s.md" . $rule.alert) -}}
{{- end -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}
