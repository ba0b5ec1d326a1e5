variable "name" {
  description = "Name of the trail, the topic, the queue and what belongs to them."
  type        = string
  default     = "cloudtrail"
}

variable "bucket" {
  description = "Name of the bucket for the log files. It is created."
  type        = string
}

variable "organization_id" {
  description = "ID of the organization (o-…) for a trail of all its accounts; empty for a trail of this account."
  type        = string
  default     = ""
}

variable "log_days" {
  description = "Days after which log files are deleted from the bucket."
  type        = number
  default     = 365
}

variable "alarm_actions" {
  description = "ARNs that the alarms notify, such as an SNS topic that reaches a person."
  type        = list(string)
  default     = []
}

variable "role_services" {
  description = "Services that may assume Falco's role: ecs-tasks.amazonaws.com, pods.eks.amazonaws.com (Pod Identity) or ec2.amazonaws.com."
  type        = list(string)
  default     = ["ecs-tasks.amazonaws.com"]
}
