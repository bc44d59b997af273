{{/* Names are fixed: rights, policies and the Lease know the operator by them, so there is one Sublet on a hub. */}}

{{- define "sublet.selector" -}}
app.kubernetes.io/name: sublet
{{- end }}

{{- define "sublet.labels" -}}
{{ include "sublet.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* What stays when the release, or only a value, no longer asks for it. Of Helm's word Argo CD's pruning takes no notice. */}}
{{- define "sublet.kept" -}}
helm.sh/resource-policy: keep
argocd.argoproj.io/sync-options: Prune=false,Delete=false
{{- end }}

{{- define "sublet.image" -}}
{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "sublet.postgresql" -}}
{{- if eq .Values.ledger.store "postgresql" }}true{{ end }}
{{- end }}

{{- define "sublet.replicas" -}}
{{- if ne (toString .Values.replicas) "auto" }}{{ .Values.replicas }}{{ else if include "sublet.postgresql" . }}2{{ else }}1{{ end }}
{{- end }}

{{- define "sublet.port" -}}
{{ .Values.settings.SUBLET_LISTEN_PORT | default 8080 | int }}
{{- end }}

{{/* A setting's value as an environment variable has it: Helm would write a large whole number as 1e+06. */}}
{{- define "sublet.value" -}}
{{- if kindIs "float64" . }}{{ if eq (floor .) . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}{{ else }}{{ . }}{{ end }}
{{- end }}
