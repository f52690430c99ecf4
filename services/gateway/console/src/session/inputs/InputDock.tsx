import type { Client } from "@holdfast/client";
import type { PendingInput } from "@holdfast/client/fold";
import { memo, useState } from "react";
import { plural } from "../../ui/format.ts";
import { Icon } from "../../ui/Icon.tsx";
import { useNow } from "../../ui/now.ts";
import { SchemaForm } from "../../ui/SchemaForm.tsx";
import { Text } from "../../ui/Text.tsx";
import { afterRefusal, hindrance, OPEN, type Phase, timeLeft } from "./answer.ts";
import { Deadline } from "./Deadline.tsx";
import "./inputs.css";

interface InputDockProps {
  readonly client: Client;
  readonly questions: readonly PendingInput[];
  readonly live: boolean;
}

/** A form for every open question. It stands outside of the scrolled rows: what was filled in must not scroll away. */
export function InputDock({ client, questions, live }: InputDockProps) {
  const [folded, setFolded] = useState(false);
  if (questions.length === 0) return null;
  return (
    <section className="dock" aria-label="Questions">
      <button type="button" className="dock-head" aria-expanded={!folded} onClick={() => setFolded(!folded)}>
        <Icon name="user" size={14} />
        <strong>
          {questions.length === 1 ? "The run waits for an answer" : `${plural(questions.length, "question")} wait`}
        </strong>
        <Icon name={folded ? "chevronRight" : "chevronDown"} size={12} />
      </button>
      <div className="dock-forms" hidden={folded}>
        {questions.map((question) => (
          <QuestionForm key={question.input_id} client={client} question={question} live={live} />
        ))}
      </div>
    </section>
  );
}

interface QuestionFormProps {
  readonly client: Client;
  readonly question: PendingInput;
  readonly live: boolean;
}

/** One question's form, made of the schema that its answer must fit. */
export const QuestionForm = memo(function QuestionForm({ client, question, live }: QuestionFormProps) {
  const [phase, setPhase] = useState<Phase>(OPEN);
  const left = timeLeft(question.deadline, useNow(1_000));
  const why = hindrance(phase, left, live);

  const answer = async (value: unknown) => {
    if (question.run_id === null) return;
    setPhase({ name: "sending" });
    try {
      await client.respond(question.run_id, question.input_id, value);
      setPhase({ name: "sent" });
    } catch (error) {
      const next = afterRefusal(error);
      setPhase(next ?? OPEN);
      // What another value may mend is shown at the fields.
      if (next === null) throw error;
    }
  };

  return (
    <div className="question-form">
      <p className="question-ask">
        <span>
          {question.agent !== null && (
            <strong>
              <Text>{question.agent}</Text>:{" "}
            </strong>
          )}
          <Text pre limit={2_000}>
            {question.prompt}
          </Text>
        </span>
        <Deadline at={question.deadline} />
      </p>
      <SchemaForm
        schema={question.value_schema}
        onSubmit={answer}
        pointer="/value"
        submitLabel={phase.name === "sending" ? "Sending" : "Answer"}
        label="Answer"
        disabled={why !== null || phase.name === "sending"}
        actions={
          <span className="question-why" role="status">
            {why}
          </span>
        }
      />
    </div>
  );
});
