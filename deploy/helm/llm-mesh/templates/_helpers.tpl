{{- define "llm-mesh.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "llm-mesh.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "llm-mesh.labels" -}}
{{ include "llm-mesh.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "llm-mesh.manifests" -}}
{{- .Values.existingConfigMap | default (printf "%s-manifests" (include "llm-mesh.fullname" .)) -}}
{{- end -}}

{{- define "llm-mesh.probe" -}}
httpGet:
  path: /healthz
  port: http
  httpHeaders:
  - {name: Host, value: healthz.invalid}
{{- end -}}

{{- /* A setting as text. Helm reads every number as a float, and would write 50000000 as 5e+07. */ -}}
{{- define "llm-mesh.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . | toString -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}
