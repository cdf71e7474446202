{{/* Labels of one component. Use: include "keywire.labels" (dict "root" . "component" "webhook") */}}
{{- define "keywire.labels" -}}
{{ include "keywire.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: keywire
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "keywire.selector" -}}
app.kubernetes.io/name: keywire
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/*
The ServiceAccount, Deployment and PodDisruptionBudget of one component.
Use: include "keywire.workload" (dict "root" . "component" "webhook" "args" (list ...) "tls" true)
*/}}
{{- define "keywire.workload" -}}
{{- $values := index .root.Values .component -}}
{{- $name := printf "keywire-%s" .component -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "keywire.labels" . | nindent 4 }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "keywire.labels" . | nindent 4 }}
spec:
  replicas: {{ $values.replicas }}
  selector:
    matchLabels: {{- include "keywire.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "keywire.labels" . | nindent 8 }}
      {{- with .root.Values.podAnnotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ $name }}
      terminationGracePeriodSeconds: 40
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: {{ .component }}
          image: {{ .root.Values.operator.image | quote }}
          imagePullPolicy: {{ .root.Values.operator.imagePullPolicy }}
          args:
            {{- range concat .args $values.extraArgs }}
            - {{ . | quote }}
            {{- end }}
          env:
            - name: POD_NAMESPACE
              valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
            - name: POD_NAME
              valueFrom: {fieldRef: {fieldPath: metadata.name}}
            - name: KEYWIRE_LOG
              value: {{ .root.Values.logLevel | quote }}
            - name: KEYWIRE_LOG_FORMAT
              value: {{ .root.Values.logFormat }}
          ports:
            {{- if .tls }}
            - {name: https, containerPort: 8443}
            {{- end }}
            - {name: admin, containerPort: 8080}
          startupProbe:
            httpGet: {path: /livez, port: 8080}
            periodSeconds: 1
            failureThreshold: 60
          readinessProbe:
            httpGet: {path: /readyz, port: 8080}
            periodSeconds: 5
          livenessProbe:
            httpGet: {path: /livez, port: 8080}
            periodSeconds: 10
          {{- if .tls }}
          # Until every node has heard that this pod is going, connections still come.
          lifecycle:
            preStop: {sleep: {seconds: 5}}
          {{- end }}
          resources: {{- toYaml $values.resources | nindent 12 }}
          terminationMessagePolicy: FallbackToLogsOnError
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "keywire.selector" . | nindent 14 }}
      {{- with .root.Values.operator.imagePullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      {{- with .root.Values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .root.Values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .root.Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "keywire.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "keywire.selector" . | nindent 6 }}
{{- end }}

{{/* The Service of one component. Use: dict "root" . "component" "webhook" "port" 443 */}}
{{- define "keywire.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: keywire-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "keywire.labels" . | nindent 4 }}
spec:
  selector: {{- include "keywire.selector" . | nindent 4 }}
  ports:
    - {name: https, port: {{ .port }}, targetPort: 8443, protocol: TCP}
{{- end }}

{{/* A binding of the role of this kind and name to the component's ServiceAccount. */}}
{{- define "keywire.subject" -}}
- kind: ServiceAccount
  name: keywire-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
{{- end }}

{{/* The namespaces in which pods are injected, as a label selector. */}}
{{- define "keywire.injected" -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values: {{- concat (list "kube-system" .Release.Namespace) .Values.webhook.excludedNamespaces | uniq | toYaml | nindent 6 }}
  - {key: keywire.dev/injection, operator: NotIn, values: [disabled]}
{{- end }}
