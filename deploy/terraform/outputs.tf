output "open_params" {
  description = "open_params of the plugin."
  value       = "sqs://${aws_sqs_queue.notifications.name}"
}

output "role_arn" {
  description = "ARN of the role for Falco."
  value       = aws_iam_role.falco.arn
}

output "policy_arn" {
  description = "ARN of the role's policy, for a role of your own."
  value       = aws_iam_policy.falco.arn
}
